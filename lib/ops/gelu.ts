import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Gaussian error linear unit in its exact form, elementwise: `x / 2 * (1 + erf(x / sqrt(2)))`.
 * @param x - `[...]`, f32, bf16 or f16.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws DtypeError when `x` is no floating tensor.
 * @see Hendrycks, Gimpel 2016, https://arxiv.org/abs/1606.08415
 */
export function gelu(x: Tensor): Tensor {
  return call('gelu', { x }).y as Tensor;
}
