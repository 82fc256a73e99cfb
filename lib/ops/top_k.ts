import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * The `k` largest values along the last axis, largest first, equals in order of index; a NaN counts as the largest.
 * @param x - `[..., size]`, f32, bf16 or f16.
 * @param k - from 0 to size.
 * @returns `values`, `[..., k]` in the dtype of `x`, and `ids`, i32 `[..., k]`.
 * @throws GradientError when `x` requires a gradient: there is none.
 */
export function topK(x: Tensor, k: number): { values: Tensor; ids: Tensor } {
  return call('topK', { x, k }) as { values: Tensor; ids: Tensor };
}
