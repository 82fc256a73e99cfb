/** Masks of a picture: what Segment Anything makes of it once, and each mask from that. */
import { Mask, readMasks } from '../masks/mask';
import type { Placement } from '../models/sam/input';
import type { SamMasks } from '../models/sam/mask_decoder/model';
import type { Sam } from '../models/sam/model';
import { reshape } from '../ops/reshape';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { bytesOf, enqueue, kept, paced, reached } from './paced';
import type { Picture } from './picture';
import { type Lease, type Made, madeBy, type SharedCache } from './shared_cache';

export interface MaskSource extends Disposable {
  /** `[1, promptDim, grid, grid]`. */
  readonly embedding: Tensor;
  readonly placement: Placement;
  /** A side of the network's square input, in pixels. */
  readonly inputSize: number;
}

/** What the picture's masks are decoded from, made unless it is there. */
export function leaseMaskSource(sam: Sam, cache: SharedCache, picture: Picture, signal?: AbortSignal): Promise<Lease<MaskSource>> {
  return cache.acquire(`masks ${madeBy(sam.imageEncoder)} ${picture.hash}`, (giveUp) => encode(sam, picture, giveUp), signal);
}

/** The embedding of a picture takes the most time of all that is done with one: others have their turn between its blocks. */
async function encode(sam: Sam, picture: Picture, signal: AbortSignal): Promise<Made<MaskSource>> {
  const { embedding, placement } = await paced(blocks(sam, picture), signal);
  const value = { embedding, placement, inputSize: sam.config.imageSize, [Symbol.dispose]: () => embedding.dispose() };
  return { value, bytes: bytesOf(embedding), settled: reached(embedding) };
}

function* blocks({ imageEncoder, config, dtype }: Sam, picture: Picture) {
  let placement: Placement | undefined;
  let x = kept(() => {
    const input = picture.samPixels(config, dtype);
    placement = input.placement;
    return imageEncoder.embed(input.pixels);
  });
  try {
    for (const block of imageEncoder.blocks) {
      yield x;
      const input = x;
      x = kept(() => block.forward(input));
      input.dispose();
    }
    return { embedding: kept(() => imageEncoder.project(x)), placement: placement as Placement };
  } finally {
    x.dispose();
  }
}

export interface DecodedMask {
  readonly mask: Mask;
  /** `[4 grid, 4 grid]`, where they are wanted: the object is where they are above 0. */
  readonly logits?: Float32Array;
}

/**
 * Masks at the size of the picture, with the quality the network expects of each.
 * @param decode - enqueues the decoder, `[masks, outputs, ...]`.
 * @param wanted - whether the logits are.
 * @returns for each of `masks` its `outputs`.
 */
export async function decodedMasks(
  { inputSize, placement }: MaskSource,
  signal: AbortSignal,
  decode: () => SamMasks,
  wanted = false,
): Promise<DecodedMask[][]> {
  return enqueue(signal, () =>
    tidy(async () => {
      const { lowRes, iou } = decode();
      const [masks, outputs, height, width] = lowRes.shape as [number, number, number, number];
      const sizes = { inputSize, resized: placement.resized, original: placement.original };
      const reading = readMasks(reshape(lowRes, [masks * outputs, height, width]), sizes);
      const [read, scores, logits] = await Promise.all([reading, iou.read(), wanted ? lowRes.read() : undefined]);
      const decoded = read.map(({ rle }, i): DecodedMask => {
        // The network's estimate is that of a line, which may leave 0 to 1.
        const mask = new Mask(rle, Math.min(1, Math.max(0, scores[i] as number)));
        return logits ? { mask, logits: logits.slice(i * height * width, (i + 1) * height * width) as Float32Array } : { mask };
      });
      return Array.from({ length: masks }, (_, i) => decoded.slice(i * outputs, (i + 1) * outputs));
    }),
  );
}
