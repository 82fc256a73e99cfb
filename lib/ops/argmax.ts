import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Index of the largest value along the last axis, the first of equals; a NaN counts as the largest.
 * @param x - `[..., size]`, f32, bf16 or f16, size at least 1.
 * @returns i32 `[...]`. No gradient.
 */
export function argmax(x: Tensor): Tensor {
  return run('argmax', { x }).ids as Tensor;
}
