/** What `preprocessImage` resizes, as the bytes that it normalises. */
import { type PreprocessImageOptions, preprocessImage, type Tensor } from '../../lib';

/** A normalisation that leaves bytes as they are. */
export const asTheyAre = (channels: number) => ({ mean: new Array<number>(channels).fill(0), std: new Array<number>(channels).fill(1) });

/** `[1, channels, height, width]` of bytes, as `[height, width, channels]`. */
export async function channelsLast(y: Tensor): Promise<Uint8Array> {
  const [, channels, height, width] = y.shape as [number, number, number, number];
  const values = await y.read();
  return Uint8Array.from({ length: y.count }, (_, i) => values[(i % channels) * height * width + Math.floor(i / channels)] as number);
}

/** `[height, width, 3]` of the picture `[inHeight, inWidth, 3]`. */
export const resizedBytes = (image: Tensor, options: Omit<PreprocessImageOptions, 'mean' | 'std'>): Promise<Uint8Array> =>
  channelsLast(preprocessImage(image, { ...options, ...asTheyAre(3) }));
