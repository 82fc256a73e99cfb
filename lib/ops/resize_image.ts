import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Resizes a photograph as Pillow does, bit for bit: antialiased, rows first, each pass rounded to u8.
 * @param image - `[inHeight, inWidth, channels]`, u8, 1 to 4 channels.
 * @param height - of the result, in pixels.
 * @param width - of the result, in pixels.
 * @returns `[height, width, channels]`, u8; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function resizeImage(image: Tensor, height: number, width: number, filter: 'bilinear' | 'bicubic' = 'bilinear'): Tensor {
  return run('resizeImage', { image, height, width, filter }).y as Tensor;
}
