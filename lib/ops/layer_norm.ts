import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Layer norm over the last axis: `weight * (x - mean) / sqrt(variance + eps) + bias`, biased variance.
 * @param x - `[..., dim]`, f32, bf16 or f16.
 * @param weight - `[dim]`, dtype of `x`.
 * @param bias - `[dim]`, dtype of `x`.
 * @param eps - above 0, default 1e-5.
 * @returns Shape and dtype of `x`; differentiable in all three.
 * @throws ShapeError, DtypeError, ArgumentError.
 * @see Ba, Kiros, Hinton 2016, https://arxiv.org/abs/1607.06450
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps?: number): Tensor {
  return call('layerNorm', { x, weight, bias, eps }).y as Tensor;
}
