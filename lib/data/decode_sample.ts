/** The pixels of a sample's picture and masks, and what is wrong with them. */
import { ArgumentError, ImageError, type SampleFault } from '../errors';
import { decodeImage, type RgbImage } from '../image/decode';
import { type Rle, rleArea } from '../image/rle';
import { rlePixels } from '../image/rle_pixels';
import type { Sample } from './sample';
import { drawScene } from './scenes/scene';

/** What of a sample is decoded, and how. Goes from thread to thread. */
export interface DecodeRequest {
  readonly image?: Sample['image'];
  readonly masks: readonly Rle[];
  /** A picture with more is refused. */
  readonly maxPixels?: number;
}

export interface DecodedSample {
  /** Undefined where the sample has none. */
  readonly image?: RgbImage;
  /** `[height, width]` of the picture, 0 or 1. */
  readonly masks: readonly Uint8Array<ArrayBuffer>[];
}

export type DecodeResult = { readonly decoded: DecodedSample } | { readonly faults: readonly [SampleFault, ...SampleFault[]] };

/** Looks at everything, so that all faults are told at once. */
export async function decodeSample({ image: source, masks: rles, maxPixels }: DecodeRequest): Promise<DecodeResult> {
  const faults: SampleFault[] = [];
  const image = await pictureOf(source, maxPixels).catch((error: unknown) => {
    faults.push(pictureFault(error, 'image'));
    return undefined;
  });
  const masks: Uint8Array<ArrayBuffer>[] = [];
  for (const [i, rle] of rles.entries()) {
    const field = `masks[${i}]`;
    const { size } = rle;
    if (image && (size[0] !== image.height || size[1] !== image.width)) {
      const reason = `is [${size.join(', ')}], expected [${image.height}, ${image.width}], the size of the picture`;
      faults.push({ problem: 'mask_size', field, reason });
      continue;
    }
    if (i > 0) await new Promise(setImmediate);
    try {
      // Of a sample with a fault nobody gets pixels, and without a picture they may be too many to be made.
      const pixels = faults.length === 0 ? rlePixels(rle) : undefined;
      if (pixels) masks.push(pixels);
      else if (rleArea(rle) === 0) faults.push({ problem: 'empty_mask', field, reason: 'has no pixel, expected at least one' });
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      faults.push({ problem: 'rle', field, reason: error.message });
    }
  }
  const [first, ...others] = faults;
  if (first) return { faults: [first, ...others] };
  return { decoded: { image, masks } };
}

async function pictureOf(image: Sample['image'], maxPixels: number | undefined): Promise<RgbImage | undefined> {
  if (typeof image !== 'object') return image === undefined ? undefined : decodeImage(image, { maxPixels });
  const { scene } = image;
  return { data: drawScene(scene), width: scene.size, height: scene.size };
}

/** What is wrong with a picture that was not decoded. @throws error, where it is of something else. */
export function pictureFault(error: unknown, field: string): SampleFault {
  if (!(error instanceof ImageError)) throw error;
  const missing = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  return { problem: missing ? 'missing_image' : 'image', field, reason: error.message };
}
