/** Segment Anything on its own: masks for points, boxes and earlier masks, in pixels of the picture. Kirillov et al. 2023, arXiv 2304.02643. */
import { type Check, isAnything, isBoolean, isSignal } from '../checks';
import type { Box } from '../image/rle';
import type { Mask } from '../masks/mask';
import { gridSize } from '../models/sam/config';
import type { Sam } from '../models/sam/model';
import type { ImageInput } from './encoded_image';
import { decodedMasks, leaseMaskSource } from './mask_source';
import type { Picture } from './picture';
import { pixelPrompts, samPrompts } from './pixel_prompts';
import type { SharedCache } from './shared_cache';

export type PixelPoint = readonly [x: number, y: number];
/** Corners, as Segment Anything has them; `Mask.box` has width and height. */
export type PixelBox = readonly [left: number, top: number, right: number, bottom: number];

export interface SegmentRequest {
  image: ImageInput;
  /** Clicks: of one object, or a list of them for each object. */
  points?: readonly PixelPoint[] | readonly (readonly PixelPoint[])[];
  /** Of each point, as they are given: 1 on the object, 0 beside it. Default: all are on it. */
  labels?: readonly (0 | 1)[] | readonly (readonly (0 | 1)[])[];
  /** Around one object, or each. */
  boxes?: PixelBox | readonly PixelBox[];
  /** To be made better: `logits` of an earlier mask, of one object or of each. */
  mask?: Float32Array | readonly Float32Array[];
  /** Three masks of each object, for a prompt that may mean several things, such as one point; default one. */
  multimask?: boolean;
  signal?: AbortSignal;
}

export interface SegmentedMask {
  readonly mask: Mask;
  readonly box: Box;
  /** The intersection over union with the true mask that the network expects, from 0 to 1. */
  readonly score: number;
  /** What the network made, in its own low resolution: for `mask` of a later request. */
  readonly logits: Float32Array;
}

/** For each object one mask, or three with `multimask`. */
export type SegmentedObject = readonly SegmentedMask[];

export const segmentChecks = {
  image: isAnything,
  points: isAnything,
  labels: isAnything,
  boxes: isAnything,
  mask: isAnything,
  multimask: isBoolean,
  signal: isSignal,
} satisfies Record<keyof SegmentRequest, Check>;

/** @throws ArgumentError for prompts that are not of the form, or outside of the picture. */
export async function segment(sam: Sam, cache: SharedCache, picture: Picture, request: SegmentRequest): Promise<SegmentedObject[]> {
  const { signal = new AbortController().signal, multimask } = request;
  const prompts = pixelPrompts(picture, request, 4 * gridSize(sam.config));
  using source = await leaseMaskSource(sam, cache, picture, signal);
  const { embedding, placement } = source.value;
  const decode = () => sam.decode(embedding, samPrompts(prompts, placement, sam), { multimask });
  const objects = await decodedMasks(source.value, signal, decode, true);
  return objects.map((outputs) =>
    outputs.map(({ mask, logits }) => ({ mask, box: mask.box, score: mask.score ?? 0, logits: logits as Float32Array })),
  );
}
