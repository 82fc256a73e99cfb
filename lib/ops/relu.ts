import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Rectified linear unit, elementwise: `max(x, 0)`.
 * @param x - `[...]`, f32, bf16 or f16.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws DtypeError when `x` is no floating tensor.
 */
export function relu(x: Tensor): Tensor {
  return call('relu', { x }).y as Tensor;
}
