import { record, run } from '../autograd/call';
import { records } from '../autograd/graph';
import { GradientError } from '../errors';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

/**
 * The values of `x` in another dtype: floating ones rounded to nearest even, integers truncated towards zero and clamped
 * to their range (NaN becomes 0).
 * @param x - `[...]`, any dtype.
 * @returns Shape of `x`; differentiable between floating dtypes.
 * @throws GradientError when a gradient is asked for through an integer.
 */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  const y = run('cast', { x, dtype }).y as Tensor;
  const from = x.dtype;
  if ((dtype === 'i32' || dtype === 'u8') && records([x])) {
    y.dispose();
    throw new GradientError(`cast: to ${dtype} has no gradient, expected f32, bf16 or f16, or a tensor that requires none`);
  }
  return record('cast', y, [x], [], (dy) => [run('cast', { x: dy, dtype: from }).y]);
}
