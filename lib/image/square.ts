/** A picture in the middle of a square of one colour, as LLaVA-1.5 gives pictures to CLIP. Liu et al. 2023, arXiv 2310.03744. */
import type { RgbImage } from './decode';
import { loadSharp } from './sharp';

/** @returns the picture itself when it is a square. */
export async function square(image: RgbImage, [r, g, b]: readonly [red: number, green: number, blue: number]): Promise<RgbImage> {
  const { data, width, height } = image;
  const size = Math.max(width, height);
  if (width === height) return image;
  const [left, top] = [Math.floor((size - width) / 2), Math.floor((size - height) / 2)];
  const padded = await loadSharp()(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .extend({ left, top, right: size - width - left, bottom: size - height - top, background: { r, g, b } })
    .raw()
    .toBuffer();
  return { data: new Uint8Array(padded.buffer, padded.byteOffset, padded.byteLength), width: size, height: size };
}
