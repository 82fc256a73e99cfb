import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * CLIP's approximation of gelu, elementwise: `x * sigmoid(1.702 * x)`.
 * @param x - `[...]`, f32, bf16 or f16.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws DtypeError when `x` is no floating tensor.
 */
export function quickGelu(x: Tensor): Tensor {
  return call('quickGelu', { x }).y as Tensor;
}
