import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Random Fourier features of points, SAM's position encoding: `[sin(2 pi v), cos(2 pi v)]`, `v = (2 points - 1) gaussian`.
 * @param points - `[..., 2]`, x and y as shares of the image's width and height, f32, bf16 or f16.
 * @param gaussian - `[2, features]`, dtype of `points`.
 * @returns `[..., 2 features]`, dtype of `points`; no gradient: neither points nor frequencies are trained.
 * @throws ShapeError or DtypeError for what does not fit, GradientError when a gradient is asked for.
 * @see Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function fourierEncoding(points: Tensor, gaussian: Tensor): Tensor {
  return call('fourierEncoding', { points, gaussian }).y as Tensor;
}
