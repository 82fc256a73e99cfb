/** Samples as the tensors of a forward pass, and their losses. */
import { imageName } from '../data/sample';
import type { RgbImage } from '../image/decode';
import { clipInput } from '../models/clip/input';
import { imageTokens } from '../models/mglmm/config';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { labelsWithImage } from '../models/mglmm/splice';
import { type TrainingForward, teacherForcing } from '../models/mglmm/teacher_forcing';
import { placementOf, samInput } from '../models/sam/input';
import { add } from '../ops/add';
import { concat } from '../ops/concat';
import { zeros } from '../ops/fill';
import { scale } from '../ops/scale';
import { slice } from '../ops/slice';
import { enqueueUpload, tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import { ignoreLabel } from '../text/tokens';
import { mixed } from './chance';
import type { Example } from './example';
import type { FeatureCache } from './feature_cache';
import { mapPair } from './map_pair';
import { type Objective, type ObjectiveWeights, objective, sumOfLosses } from './objective';
import { type SceneHeads, sceneLoss } from './scene_loss';

/** An example with what is seen and what is to be found. */
export interface Item {
  readonly example: Example;
  readonly image?: RgbImage;
  /** `[height, width]` of the image each, 0 or 1: at least as many as are predicted, or none. */
  readonly masks: readonly Uint8Array[];
}

/** Which of the encoders of images are trained: the others are run once an image, without a gradient. */
export interface TrainedEncoders {
  readonly clip: boolean;
  readonly sam: boolean;
}

export interface LossOptions {
  readonly trained: TrainedEncoders;
  readonly cache: FeatureCache;
  readonly segId: number;
  readonly pad: number;
  readonly weights: ObjectiveWeights;
  readonly recompute: boolean;
  /** That patches of scenes tell facts by, with a weight of `scenes`. */
  readonly sceneHeads?: SceneHeads;
  /** Of what is drawn: what patches are asked about. */
  readonly seed: number;
}

/**
 * The losses of one micro-batch of at least one item. Items without an image are read by themselves; the cross entropy is the mean
 * over all tokens of answers of both.
 */
export function lossesOf(model: MglmmForCausalLM, items: readonly Item[], options: LossOptions): Objective {
  const seeing = items.filter(({ image }) => image);
  const reading = items.filter(({ image }) => !image);
  if (reading.length === 0 || seeing.length === 0) return partLosses(model, items, options, 1);
  const [seen, read] = [labelCount(seeing), labelCount(reading)];
  const a = partLosses(model, seeing, options, seen / (seen + read));
  const b = partLosses(model, reading, options, read / (seen + read));
  return { ...a, loss: add(a.loss, b.loss), ceLoss: add(a.ceLoss, b.ceLoss) };
}

const labelCount = (items: readonly Item[]): number =>
  items.reduce((sum, { example }) => sum + example.labels.filter((label, at) => at > 0 && label !== ignoreLabel).length, 0);

/** @param share - of the labels of the whole micro-batch. */
function partLosses(model: MglmmForCausalLM, items: readonly Item[], options: LossOptions, share: number): Objective {
  const { segId, pad, recompute, weights } = options;
  const examples = items.map(({ example }) => example);
  const lengths = examples.map(({ ids }) => ids.length);
  const longest = Math.max(...lengths);
  const padded = (row: readonly number[], filler: number) => [...row, ...new Array<number>(longest - row.length).fill(filler)];
  const inputIds = examples.map(({ ids }) => padded(ids, pad));
  const hasImages = items[0]?.image !== undefined;
  const embeddings = seeMasks(model, items, options);
  const forward = teacherForcing(
    model,
    {
      inputIds,
      lengths,
      ...(hasImages ? seeImages(model, items, options) : {}),
      offset: Array.from({ length: items.length + 1 }, (_, i) => i),
      embeddings,
      placements: items.map(({ image }) => image && placementOf(image.height, image.width, model.config.sam?.imageSize ?? 1)),
    },
    segId,
    { recompute },
  );
  const labels = examples.map((one, i) => {
    const row = padded(one.labels, ignoreLabel);
    return hasImages ? labelsWithImage(inputIds[i] as number[], row, imageTokens(model.config), ignoreLabel) : row;
  });
  const gtMasks = items.map((item, i) => (forward.predMasks[i] ? targetsOf(item) : undefined));
  const losses = objective(
    {
      states: forward.states,
      head: model.lmHead?.weight ?? model.model.embedTokens.weight,
      labels: tensor(Int32Array.from(labels.flat()), [labels.length, labels[0]?.length ?? 0]),
      predMasks: forward.predMasks,
      placements: forward.placements,
      predIous: forward.predIous,
      gtMasks,
    },
    { ...weights, ce: (weights.ce ?? 1) * share },
  );
  const besides = [...mapLoss(items, forward, embeddings, weights), ...patchLoss(items, forward, options)];
  return { ...losses, loss: [losses.loss, ...besides].reduce(add) };
}

/**
 * CLIP's part. What is not trained is run image by image, so that a feature is the same to the bit whether it comes from the cache
 * or not, and whatever it is batched with.
 */
function seeImages(model: MglmmForCausalLM, items: readonly Item[], { trained, cache }: LossOptions) {
  const pixels = (item: Item) => clipInput(item.image as RgbImage, model.config.clip, model.model.dtype);
  if (trained.clip) return { pixels: joined(items.map(pixels)) };
  const features = items.map((item) => {
    const { image } = item.example.sample;
    return cache.get(image && `clip ${imageName(image)}`, () => model.clip.forward(pixels(item)));
  });
  return { features: joined(features) };
}

/** SAM's part: `[1, promptDim, grid, grid]` of each image that masks are asked for. */
export function seeMasks(
  model: MglmmForCausalLM,
  items: readonly Item[],
  { trained, cache, recompute }: Pick<LossOptions, 'trained' | 'cache' | 'recompute'>,
): (Tensor | undefined)[] {
  const isAsked = ({ image, example, masks }: Item) => image !== undefined && example.predicted > 0 && masks.length > 0;
  const asked = items.filter(isAsked);
  if (asked.length === 0) return items.map(() => undefined);
  const { sam } = model;
  const pixels = (item: Item) => samInput(item.image as RgbImage, sam.config, sam.dtype).pixels;
  if (!trained.sam)
    return items.map((item) => {
      const source = item.example.sample.image;
      return isAsked(item) ? cache.get(source && `sam ${imageName(source)}`, () => sam.encodeImage(pixels(item))) : undefined;
    });
  const together = sam.encodeImage(joined(asked.map(pixels)), { recompute });
  const of = new Map(asked.map((item, i) => [item, i]));
  return items.map((item) => {
    const at = of.get(item);
    return at === undefined ? undefined : slice(together, 0, at, at + 1);
  });
}

/** How far prompts point beside their masks on SAM's map. */
function mapLoss(
  items: readonly Item[],
  { prompts }: TrainingForward,
  maps: readonly (Tensor | undefined)[],
  weights: ObjectiveWeights,
): Tensor[] {
  const pairs = items.flatMap(({ image, masks, example }, i) => {
    const [asked, map] = [prompts[i], maps[i]];
    return weights.map && image && asked && map ? [mapPair(asked, map, masks.slice(0, example.predicted), image)] : [];
  });
  return pairs.length > 0 ? [scale(sumOfLosses(zeros([]), pairs, weights).maskLoss, weights.map ?? 0)] : [];
}

/** How well patches tell what scenes show. */
function patchLoss(items: readonly Item[], { images }: TrainingForward, { weights, sceneHeads, seed }: LossOptions): Tensor[] {
  if (!sceneHeads || !images) return [];
  let drawn = 0;
  const loss = sceneLoss(sceneHeads, items, images, () => mixed(seed, drawn++) / 2 ** 32);
  return loss ? [scale(loss, weights.scenes ?? 0)] : [];
}

/** `[predicted, height, width]` u8. */
function targetsOf({ example, image, masks }: Item): Tensor {
  const { width, height } = image as RgbImage;
  return joined(masks.slice(0, example.predicted).map((mask) => enqueueUpload(mask, [1, height, width])));
}

const joined = (tensors: readonly Tensor[]): Tensor => (tensors.length === 1 ? (tensors[0] as Tensor) : concat(tensors, 0));
