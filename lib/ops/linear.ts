import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Dense layer: `x weight^T + bias + residual`, sums in f32, rounded once.
 * @param x - `[..., in]`, f32, bf16 or f16.
 * @param weight - `[out, in]`, dtype of `x`; rows, or packed by {@link pack}, which spares the copy of each call.
 * @param bias - `[out]`, dtype of `x`.
 * @param options - `residual`, `[..., out]`, dtype of `x`: what the residual connection around the layer adds.
 * @returns `[..., out]`, dtype of `x`; differentiable in all tensors, in `weight` only while it is in rows.
 * @throws ShapeError, DtypeError for what does not fit; ArgumentError from `backward` for a packed weight that requires a gradient.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, options?: { residual?: Tensor }): Tensor {
  // Of x the weight's gradient is made, and nothing else.
  const unread = weight?.requiresGrad ? [] : ['x'];
  return call('linear', { x, weight, bias, residual: options?.residual }, { residual: 'dy' }, unread).y as Tensor;
}
