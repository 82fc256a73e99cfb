import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface Conv2dOptions {
  /** `[out]`, dtype of `x`. */
  bias?: Tensor;
  /** Pixels between two outputs; default 1. */
  stride?: number;
  /** Zeros on every side, below the kernel's sizes; default 0. */
  padding?: number;
}

/**
 * Convolution of images, as neural networks call it (the kernel is not flipped): patch embeddings, 1x1, 3x3. No groups, no
 * dilation.
 * @param x - `[batch, in, height, width]`, f32, bf16 or f16.
 * @param weight - `[out, in, kernelHeight, kernelWidth]`, dtype of `x`.
 * @returns `[batch, out, outHeight, outWidth]`, outHeight = floor((height + 2 padding - kernelHeight) / stride) + 1; dtype of
 *   `x`; differentiable in `x`, `weight` and `bias`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function conv2d(x: Tensor, weight: Tensor, options?: Conv2dOptions): Tensor {
  const { bias, stride, padding } = options ?? {};
  return call('conv2d', { x, weight, bias, stride, padding }).y as Tensor;
}
