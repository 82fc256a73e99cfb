/** A picture as both vision models want it, and the name by which what they make of it is found again. */
import { createHash } from 'node:crypto';
import { type DecodeOptions, decodeImage, type ImageSource, type RgbImage } from '../image/decode';
import type { ClipConfig } from '../models/clip/config';
import { clipInput } from '../models/clip/input';
import type { SamConfig } from '../models/sam/config';
import { type Placement, samInput } from '../models/sam/input';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface Picture {
  /** The same for the same pixels. */
  readonly hash: string;
  readonly width: number;
  readonly height: number;
  /** `[1, 3, imageSize, imageSize]`. */
  clipPixels(config: ClipConfig, dtype: Dtype): Tensor;
  /** `[1, 3, imageSize, imageSize]`. */
  samPixels(config: SamConfig, dtype: Dtype): { pixels: Tensor; placement: Placement };
}

/** @throws ImageError, ArgumentError or AbortedError: see {@link decodeImage}. */
export async function openPicture(source: ImageSource, options: DecodeOptions = {}): Promise<Picture> {
  const image = await decodeImage(source, options);
  return {
    hash: await hashOf(image),
    width: image.width,
    height: image.height,
    clipPixels: (config, dtype) => clipInput(image, config, dtype),
    samPixels: (config, dtype) => samInput(image, config, dtype),
  };
}

/** Bytes that are hashed between two turns of the event loop: about a quarter of a millisecond. */
const pieceBytes = 1 << 18;

async function hashOf({ data, width, height }: RgbImage): Promise<string> {
  const hash = createHash('sha256').update(`${width}x${height}:`);
  for (let at = 0; at < data.length; at += pieceBytes) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    hash.update(data.subarray(at, at + pieceBytes));
  }
  return hash.digest('hex');
}
