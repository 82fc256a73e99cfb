/** The forward of training: conversations whose answers are known, all at once, with a mask for each `[SEG]` in them. */
import { gatherRows } from '../../ops/gather_rows';
import type { MaskBitsOptions } from '../../ops/mask_bits';
import { reshape } from '../../ops/reshape';
import { slice } from '../../ops/slice';
import { tensor } from '../../tensor/create';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaForwardOptions } from '../llama/model';
import type { Placement } from '../sam/input';
import type { SamMasks } from '../sam/mask_decoder/model';
import { imageTokens } from './config';
import type { MglmmForCausalLM } from './model';
import { predictingPlaces } from './splice';

export interface TrainingBatch {
  /** Of each conversation, with one image token, or in all of them none; padded on the right to one length by any id. */
  readonly inputIds: readonly (readonly number[])[];
  /** How many ids of each conversation are real. */
  readonly lengths: readonly number[];
  /** `[images, 3, imageSize, imageSize]`, of `clipInput`; without it and `features` the conversations have no image. */
  readonly pixels?: Tensor;
  /** `[images, patches, clip.dim]`, of `clip.forward`: instead of `pixels`, where CLIP is not trained. */
  readonly features?: Tensor;
  /** Image `i` is that of conversations `offset[i]` up to `offset[i + 1]`. */
  readonly offset: readonly number[];
  /** `[1, promptDim, grid, grid]` for each image, of `sam.encodeImage`; without one an image has only captions to learn. */
  readonly embeddings?: readonly (Tensor | undefined)[];
  /** Of each image in the input of `sam.encodeImage`; with `embeddings`. */
  readonly placements?: readonly (Placement | undefined)[];
}

export interface TrainingForward {
  /** `[conversations, tokens - 1 + imageTokens, dim]`, normed: the head makes logits of them. */
  readonly states: Tensor;
  /** For each image `[masks, 4 grid, 4 grid]` logits, a mask for each `[SEG]` of its conversations in order. */
  readonly predMasks: readonly (Tensor | undefined)[];
  /** How these come to the size of the image: what `maskLoss` and `maskBits` ask for. */
  readonly placements: readonly (MaskBitsOptions | undefined)[];
  /** For each image `[masks]`, how good the mask decoder says they are. */
  readonly predIous: readonly (Tensor | undefined)[];
  /** `[images, imageTokens, dim]`, as LLaMA reads them. */
  readonly images?: Tensor;
  /** For each image `[masks, 1, promptDim]`, what the mask decoder was asked by. */
  readonly prompts: readonly (Tensor | undefined)[];
}

/**
 * @param segId - the id of `[SEG]`.
 * @returns differentiable in all that is trained.
 * @throws ArgumentError or ShapeError for a batch that does not fit.
 */
export function teacherForcing(
  model: MglmmForCausalLM,
  batch: TrainingBatch,
  segId: number,
  options: Pick<LlamaForwardOptions, 'recompute'> = {},
): TrainingForward {
  const { inputIds, lengths, pixels, features, offset, embeddings } = batch;
  const images = features || pixels ? imageTokens(model.config) : 1;
  return tidy(() => {
    const projected = features
      ? model.model.mmProjector.forward(features)
      : pixels && model.encodeImage(pixels, { recompute: options.recompute });
    const embedded = model.embed(inputIds, projected && repeated(projected, offset));
    const [conversations, tokens, dim] = embedded.shape as [number, number, number];
    const isReal = new Uint8Array(conversations * tokens);
    for (const [row, length] of lengths.entries()) isReal.fill(1, row * tokens, row * tokens + length - 1 + images);
    const states = model.model.forward(embedded, { ...options, keyMask: tensor(isReal, [conversations, tokens]) });
    const rows = reshape(states, [conversations * tokens, dim]);
    const places = offset.slice(1).map((end, image) => {
      const found: number[] = [];
      for (let row = offset[image] as number; row < end && embeddings?.[image]; row++) {
        const ids = (inputIds[row] ?? []).slice(0, lengths[row]);
        for (const place of predictingPlaces(ids, segId, images)) found.push(row * tokens + place);
      }
      return found;
    });
    const wanted = places.flatMap((found, image) => (found.length > 0 ? [image] : []));
    const all = wanted.flatMap((image) => places[image] as number[]);
    const none = places.map(() => undefined);
    if (all.length === 0) return { states, predMasks: none, placements: none, predIous: none, prompts: none, images: projected };
    const prompts = model.segPrompts(gatherRows(rows, tensor(all, [all.length], 'i32')));
    const decoded = model.sam.decodeEach(
      wanted.map((image) => embeddings?.[image] as Tensor),
      wanted.map((image) => (places[image] as number[]).length),
      { text: prompts },
    );
    const placements = places.map((found, image) => {
      const placement = batch.placements?.[image];
      return found.length > 0 && placement ? { inputSize: model.sam.config.imageSize, ...placement } : undefined;
    });
    const predMasks = placements.map((placement, image) => {
      if (!placement) return undefined;
      const { lowRes } = decoded[wanted.indexOf(image)] as SamMasks;
      return reshape(lowRes, [lowRes.shape[0] as number, ...lowRes.shape.slice(2)]);
    });
    const predIous = places.map((found, image) => {
      const one = decoded[wanted.indexOf(image)];
      return one && reshape(one.iou, [found.length]);
    });
    const ends = wanted.map((_, i) => wanted.slice(0, i + 1).reduce((sum, image) => sum + (places[image] as number[]).length, 0));
    const promptsOf = places.map((found, image) => {
      const end = ends[wanted.indexOf(image)];
      return end === undefined ? undefined : slice(prompts, 0, end - found.length, end);
    });
    return { states, predMasks, placements, predIous, prompts: promptsOf, images: projected };
  });
}

/** `[images, tokens, dim]` to `[conversations, tokens, dim]`: each image as often as it has conversations. */
function repeated(images: Tensor, offset: readonly number[]): Tensor {
  const [count, tokens, dim] = images.shape as [number, number, number];
  const of = offset.slice(1).flatMap((end, image) => new Array<number>(end - (offset[image] as number)).fill(image));
  const rows = gatherRows(reshape(images, [count, tokens * dim]), tensor(of, [of.length], 'i32'));
  return reshape(rows, [of.length, tokens, dim]);
}
