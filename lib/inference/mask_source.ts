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
import type { Made } from './shared_cache';

export interface MaskSource extends Disposable {
  /** `[1, promptDim, grid, grid]`. */
  readonly embedding: Tensor;
  readonly placement: Placement;
  /** A side of the network's square input, in pixels. */
  readonly inputSize: number;
}

/** The embedding of a picture. It takes the most time of all that is done with one, so others have their turn between its blocks. */
export async function encodeForMasks(sam: Sam, picture: Picture, signal: AbortSignal): Promise<Made<MaskSource>> {
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

/**
 * Masks at the size of the picture, with the quality the network expects of each.
 * @param decode - enqueues the decoder, `[masks, outputs, ...]`.
 * @returns for each of `masks` its `outputs`.
 */
export async function decodedMasks(source: MaskSource, signal: AbortSignal, decode: () => SamMasks): Promise<Mask[][]> {
  return enqueue(signal, () =>
    tidy(async () => {
      const { lowRes, iou } = decode();
      const [masks, outputs, height, width] = lowRes.shape as [number, number, number, number];
      const { inputSize, placement } = source;
      const sizes = { inputSize, resized: placement.resized, original: placement.original };
      const [read, scores] = await Promise.all([readMasks(reshape(lowRes, [masks * outputs, height, width]), sizes), iou.read()]);
      // The network's estimate is that of a line, which may leave 0 to 1.
      const scored = read.map(({ rle }, i) => new Mask(rle, Math.min(1, Math.max(0, scores[i] as number))));
      return Array.from({ length: masks }, (_, i) => scored.slice(i * outputs, (i + 1) * outputs));
    }),
  );
}
