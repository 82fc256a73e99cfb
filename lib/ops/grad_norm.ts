import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * L2 norm over all elements of all gradients together, summed in f64 in a fixed order.
 * @param grads - any shapes, f32, bf16 or f16.
 * @returns f32 `[]`; NaN or infinite when an element is, so it also tells a step that went wrong. 0 without gradients.
 */
export function gradNorm(grads: readonly Tensor[]): Tensor {
  return run('gradNorm', { grads }).norm as Tensor;
}
