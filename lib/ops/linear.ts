import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Dense layer: `x weight^T + bias`, sums in f32.
 * @param x - `[..., in]`, f32, bf16 or f16.
 * @param weight - `[out, in]`, dtype of `x`; rows, or packed by {@link pack}, which spares the copy of each call.
 * @param bias - `[out]`, dtype of `x`.
 * @returns `[..., out]`, dtype of `x`; differentiable in all three, in `weight` only while it is in rows.
 * @throws ShapeError, DtypeError for what does not fit; ArgumentError from `backward` for a packed weight that requires a gradient.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return call('linear', { x, weight, bias }).y as Tensor;
}
