import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Resizes images between their pixels' centres, without antialiasing: PyTorch's `interpolate` with `mode: 'bilinear'` and
 * `align_corners: false`. For photographs see {@link preprocessImage}.
 * @param x - `[..., inHeight, inWidth]`, f32, bf16 or f16.
 * @param height - of the result, in pixels.
 * @param width - of the result, in pixels.
 * @returns `[..., height, width]`, dtype of `x`; differentiable.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function bilinear(x: Tensor, height: number, width: number): Tensor {
  return call('bilinear', { x, height, width }).y as Tensor;
}
