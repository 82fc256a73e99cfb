import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Transposed convolution whose stride is its kernel: each pixel becomes a block of `k x k`, and blocks do not overlap.
 * @param x - `[batch, in, height, width]`, f32, bf16 or f16.
 * @param weight - `[in, out, k, k]`, dtype of `x`.
 * @param bias - `[out]`, dtype of `x`.
 * @returns `[batch, out, k height, k width]`, dtype of `x`; differentiable in `x`, `weight` and `bias`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function convTranspose2d(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return call('convTranspose2d', { x, weight, bias }).y as Tensor;
}
