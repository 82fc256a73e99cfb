import { run } from '../autograd/call';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface NormalizeImageOptions {
  /** A number a channel, of pixels after `rescale`. */
  mean: readonly number[];
  /** A number a channel, of pixels after `rescale`. */
  std: readonly number[];
  /** Factor of the pixels before all else; default 1. */
  rescale?: number;
  /** First row and column of the image that is used; default 0. */
  top?: number;
  left?: number;
  /** Of the result, in pixels: the image is cut there, or followed by zeros. */
  height: number;
  width: number;
  /** Of the result, f32, bf16 or f16; default f32. */
  dtype?: Dtype;
}

/**
 * Pixels as a network takes them: `(pixel * rescale - mean) / std`, channels first, cropped, or padded with zeros on the right
 * and below.
 * @param image - `[inHeight, inWidth, channels]`, u8.
 * @returns `[channels, height, width]`; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function normalizeImage(image: Tensor, options: NormalizeImageOptions): Tensor {
  const { mean, std, rescale, top, left, height, width, dtype } = options ?? {};
  return run('normalizeImage', { image, mean, std, rescale, top, left, height, width, dtype }).y as Tensor;
}
