import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/** Part of a picture, in pixels. */
export interface Crop {
  top: number;
  left: number;
  height: number;
  width: number;
}

/**
 * Resizes a photograph as Pillow does, bit for bit: antialiased, rows first, each pass rounded to u8.
 * @param image - `[inHeight, inWidth, channels]`, u8, 1 to 4 channels.
 * @param height - of the result, in pixels.
 * @param width - of the result, in pixels.
 * @param crop - the part of the result that is wanted, the only one that is computed; default all of it.
 * @returns `[height, width, channels]`, those of `crop` if there is one, u8; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function resizeImage(
  image: Tensor,
  height: number,
  width: number,
  filter: 'bilinear' | 'bicubic' = 'bilinear',
  crop?: Crop,
): Tensor {
  const { top, left, height: cropHeight, width: cropWidth } = (crop ?? {}) as Partial<Crop>;
  return run('resizeImage', { image, height, width, filter, top, left, cropHeight, cropWidth }).y as Tensor;
}
