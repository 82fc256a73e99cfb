/** Whether weights are numbers: NaN and infinity come of training that diverged and of conversions to f16. */
import { mean } from '../ops/sum';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

/**
 * How many elements are NaN or infinite. One pass over the memory; only where the mean is not finite are the values looked at,
 * as large ones may add up past what f32 holds.
 */
export async function countNotFinite(tensor: Tensor): Promise<number> {
  if (tensor.count === 0 || tensor.dtype === 'i32' || tensor.dtype === 'u8') return 0;
  if (Number.isFinite(await tidy(() => mean(tensor).item()))) return 0;
  let found = 0;
  for (const value of await tensor.read()) if (!Number.isFinite(value)) found++;
  return found;
}
