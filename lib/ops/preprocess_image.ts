import { run } from '../autograd/call';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface PreprocessImageOptions {
  /** Size of the whole picture once it is resized, in pixels. */
  resized: readonly [height: number, width: number];
  /** Default bilinear. */
  filter?: 'bilinear' | 'bicubic';
  /** First row and column of the resized picture that the result has; default 0. */
  top?: number;
  left?: number;
  /** Of the result, in pixels: the resized picture is cut there, or followed by zeros. Only what the result has is computed. */
  height: number;
  width: number;
  /** Factor of the resized pixels before they are normalised; default 1. */
  rescale?: number;
  /** A number a channel, of pixels after `rescale`. */
  mean: readonly number[];
  /** A number a channel, of pixels after `rescale`. */
  std: readonly number[];
  /** Of the result, f32, bf16 or f16; default f32. */
  dtype?: Dtype;
}

/**
 * A photograph as a network takes it: resized as Pillow does, bit for bit (antialiased, rows first, each pass rounded to u8), cut, or
 * padded with zeros on the right and below, and normalised to `(pixel * rescale - mean) / std`.
 * @param image - `[inHeight, inWidth, channels]`, u8, 1 to 4 channels.
 * @returns `[1, channels, height, width]`; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function preprocessImage(image: Tensor, options: PreprocessImageOptions): Tensor {
  const { resized, filter, top, left, height, width, rescale, mean, std, dtype } = options ?? {};
  const [resizedHeight, resizedWidth] = [resized?.[0], resized?.[1]];
  const fields = { image, resizedHeight, resizedWidth, filter, top, left, height, width, rescale, mean, std, dtype };
  return run('preprocessImage', fields).y as Tensor;
}
