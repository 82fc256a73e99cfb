import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Root mean square norm over the last axis: `weight * x / sqrt(mean(x^2) + eps)`.
 * @param x - `[..., dim]`, f32, bf16 or f16.
 * @param weight - `[dim]`, dtype of `x`.
 * @param eps - above 0, default 1e-5.
 * @returns Shape and dtype of `x`; differentiable in `x` and `weight`.
 * @throws ShapeError, DtypeError, ArgumentError.
 * @see Zhang, Sennrich 2019, https://arxiv.org/abs/1910.07467
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps?: number): Tensor {
  return call('rmsNorm', { x, weight, eps }).y as Tensor;
}

/**
 * A residual connection and the norm that reads it, in one pass: what `add(x, residual)` and {@link rmsNorm} of it give, bit for bit.
 * @param x - `[..., dim]`, f32, bf16 or f16.
 * @param residual - Shape and dtype of `x`.
 * @param weight - `[dim]`, dtype of `x`.
 * @param eps - above 0, default 1e-5.
 * @returns `sum`, `x + residual`, and `y`, its norm, both with shape and dtype of `x`; differentiable in `x`, `residual` and `weight`.
 * @throws ShapeError, DtypeError, ArgumentError.
 */
export function addRmsNorm(x: Tensor, residual: Tensor, weight: Tensor, eps?: number): { sum: Tensor; y: Tensor } {
  return call('addRmsNorm', { x, residual, weight, eps }, { residual: 'dx' }) as { sum: Tensor; y: Tensor };
}
