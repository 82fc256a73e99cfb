import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Softmax along the last axis, with sums in f32.
 * @param x - `[..., classes]`, f32, bf16 or f16.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws ShapeError when `x` has no axis, DtypeError when it is no floating tensor.
 */
export function softmax(x: Tensor): Tensor {
  return call('softmax', { x }).y as Tensor;
}
