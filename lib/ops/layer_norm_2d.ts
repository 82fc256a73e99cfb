import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Layer norm over the channels at every pixel: `weight * (x - mean) / sqrt(variance + eps) + bias`, biased variance.
 * @param x - `[batch, channels, height, width]`, f32, bf16 or f16.
 * @param weight - `[channels]`, dtype of `x`.
 * @param bias - `[channels]`, dtype of `x`.
 * @param eps - above 0, default 1e-6.
 * @returns Shape and dtype of `x`; differentiable in all three.
 * @throws ShapeError, DtypeError, ArgumentError.
 * @see Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function layerNorm2d(x: Tensor, weight: Tensor, bias: Tensor, eps?: number): Tensor {
  return call('layerNorm2d', { x, weight, bias, eps }).y as Tensor;
}
