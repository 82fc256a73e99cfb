/**
 * What the vision of a new model is trained by before it learns to speak: masks from points and boxes, as Segment Anything is
 * (Kirillov et al. 2023, arXiv 2304.02643), and masks from what a `[SEG]` will bring, the words of a phrase and the patches that
 * show what it means, in the space of LLaMA's tokens. Besides, each patch of CLIP and each place of SAM's map tells a word for
 * what is there, by the head that tells words later. All of it comes from masks and their phrases.
 */

import { phrasesOf } from '../data/sample';
import { TrainingError } from '../errors';
import type { RgbImage } from '../image/decode';
import { clipInput } from '../models/clip/input';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { placementOf, samInput } from '../models/sam/input';
import type { SamMasks } from '../models/sam/mask_decoder/model';
import type { Sam } from '../models/sam/model';
import type { SamPrompts } from '../models/sam/prompt_encoder';
import { Linear, Module } from '../nn';
import { add } from '../ops/add';
import { cast } from '../ops/cast';
import { concat } from '../ops/concat';
import { gatherRows } from '../ops/gather_rows';
import { matmul } from '../ops/matmul';
import { permute } from '../ops/permute';
import { reshape } from '../ops/reshape';
import { scale } from '../ops/scale';
import { slice } from '../ops/slice';
import { enqueueUpload, tensor } from '../tensor/create';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import type { Tokenizer } from '../text/tokenizer';
import { mixed } from './chance';
import { mapPair } from './map_pair';
import type { Item } from './micro_batch';
import { type MaskPair, type Objective, type ObjectiveWeights, sumOfLosses } from './objective';
import { attended, type Chance, calledAs, drawnBox, meantBy, pointOn, type Regions } from './regions';
import { SceneHeads, sceneLoss } from './scene_loss';
import { wordLoss } from './word_loss';

/** What is trained in pretraining and thrown away after it. */
export class PretrainingHeads extends Module {
  /** From SAM's map to LLaMA's tokens. */
  readonly words: Linear;
  /** With a weight of `scenes`. */
  readonly scenes?: SceneHeads;

  constructor(model: MglmmForCausalLM, { scenes }: ObjectiveWeights) {
    super();
    this.words = new Linear(model.config.sam?.promptDim ?? 1, model.config.llama.dim, { dtype: model.model.dtype });
    if (scenes) this.scenes = new SceneHeads(model);
  }
}

export interface PretrainingOptions {
  readonly tokenizer: Tokenizer;
  /** Prompts of a picture, of each kind. */
  readonly prompts: { readonly pictures?: number; readonly points: number; readonly boxes: number; readonly phrases: number };
  readonly weights: ObjectiveWeights;
  readonly recompute: boolean;
  /** What is drawn by: another number for each micro-batch. */
  readonly seed: number;
}

/** Places of SAM's map that are asked for a word, of each picture. */
const askedPlaces = 100;

/** Whether there is something to ask for. */
export const hasMasks = (item: Item): item is Item & { readonly image: RgbImage } => item.image !== undefined && item.masks.length > 0;

/** @throws TrainingError when no item has a mask. */
export function pretrainingLosses(
  model: MglmmForCausalLM,
  heads: PretrainingHeads,
  items: readonly Item[],
  options: PretrainingOptions,
): Objective {
  const { tokenizer, prompts, weights, recompute, seed } = options;
  const shown = items.filter(hasMasks);
  const seen = shown.map(({ image, masks, example: { sample } }): Regions => {
    return { image, masks, phrases: phrasesOf(sample).map((phrase) => tokenizer.encode(phrase)) };
  });
  if (seen.length === 0) throw new TrainingError('pretraining: a batch has no mask, expected samples with some');
  let drawn = 0;
  const chance: Chance = () => mixed(seed, drawn++) / 2 ** 32;
  return tidy(() => {
    const { clip, sam, dtype } = { clip: model.config.clip, sam: model.sam, dtype: model.model.dtype };
    const patches = model.encodeImage(
      joined(seen, (image) => clipInput(image, clip, dtype)),
      { recompute },
    );
    const told = heads.scenes && sceneLoss(heads.scenes, shown, patches, chance);
    const withScenes = (losses: Objective): Objective =>
      told ? { ...losses, loss: add(losses.loss, scale(told, weights.scenes ?? 0)) } : losses;
    const prompted = seen.slice(0, prompts.pictures);
    if (prompted.length === 0) {
      const ceLoss = wordLoss(model, seen, patches, chance);
      return withScenes(sumOfLosses(scale(ceLoss, weights.ce ?? 1), [], weights));
    }
    const maps = sam.encodeImage(
      joined(prompted, (image) => samInput(image, sam.config, dtype).pixels),
      { recompute },
    );
    const decoder = new Asking(sam, prompted, maps, chance);
    const predicted = [
      ...decoder.points(prompts.points),
      ...decoder.boxes(prompts.boxes),
      ...decoder.phrases(prompts.phrases, (asked) => phrasePrompts(model, slice(patches, 0, 0, prompted.length), prompted, asked, chance)),
    ];
    const places = placesOf(maps, chance);
    const ceLoss = wordLoss(model, seen, patches, chance, {
      tokens: heads.words.forward(places.rows),
      cells: places.cells,
      grid: maps.shape[2] as number,
    });
    return withScenes(sumOfLosses(scale(ceLoss, weights.ce ?? 1), predicted, weights));
  });
}

const joined = (seen: readonly Regions[], make: (image: RgbImage) => Tensor): Tensor =>
  concat(
    seen.map(({ image }) => make(image)),
    0,
  );

/** Asks for masks of every picture, each time for others of its masks. */
class Asking {
  readonly #embeddings: readonly Tensor[];
  readonly #starts: readonly number[];
  #asked = 0;

  constructor(
    readonly sam: Sam,
    readonly seen: readonly Regions[],
    maps: Tensor,
    readonly chance: Chance,
  ) {
    this.#embeddings = seen.map((_, i) => slice(maps, 0, i, i + 1));
    this.#starts = seen.map(({ masks }) => Math.floor(chance() * masks.length));
  }

  /** A point on a mask, which may mean what is larger or smaller: three masks each. */
  points(count: number): MaskPair[] {
    const asked = this.#draw(count, (regions, index) => {
      const point = pointOn(regions.masks[index] as Uint8Array, regions.image.width, this.chance);
      const [x, y] = [point.x, point.y].map((pixel) => this.#inInput(regions, pixel)) as [number, number];
      return { points: [{ x, y, label: 1 as const }], targets: meantBy(regions, point) };
    });
    const points = asked.flat().map((one) => one.points);
    return this.#decode(
      asked.map((row) => row.flatMap(({ targets }) => targets)),
      () => ({ points }),
      true,
    );
  }

  boxes(count: number): MaskPair[] {
    const asked = this.#draw(count, (regions, index) => {
      const mask = regions.masks[index] as Uint8Array;
      const box = drawnBox(mask, regions.image.width, this.chance).map((pixel) => this.#inInput(regions, pixel));
      return { box: box as [number, number, number, number], mask };
    });
    const boxes = asked.flat().map(({ box }) => box);
    return this.#decode(
      asked.map((row) => row.map(({ mask }) => mask)),
      () => ({ boxes }),
    );
  }

  /** @param prompts - `[pictures * count, 1, promptDim]`, of what is asked for in each picture. */
  phrases(count: number, prompts: (asked: readonly (readonly AskedPhrase[])[]) => Tensor): MaskPair[] {
    const asked = this.#draw(count, (regions, index): AskedPhrase => {
      const isShown = this.chance() < shownShare;
      const mask = isShown ? (regions.masks[index] as Uint8Array) : calledAs(regions, index);
      return { words: regions.phrases[index] ?? [], mask, isShown };
    });
    if (count === 0) return [];
    const targets = asked.map((row) => row.map(({ mask }) => mask));
    const text = prompts(asked);
    const pointed = this.seen.map(({ image }, i) =>
      mapPair(slice(text, 0, i * count, (i + 1) * count), this.#embeddings[i] as Tensor, targets[i] as Uint8Array[], image),
    );
    return [...this.#decode(targets, () => ({ text })), ...pointed];
  }

  #draw<Asked>(count: number, ask: (regions: Regions, index: number) => Asked): Asked[][] {
    const first = this.#asked;
    this.#asked += count;
    return this.seen.map((regions, i) =>
      Array.from({ length: count }, (_, slot) => ask(regions, ((this.#starts[i] as number) + first + slot) % regions.masks.length)),
    );
  }

  #decode(targets: readonly (readonly Uint8Array[])[], prompts: () => SamPrompts, multimask = false): MaskPair[] {
    const each = (targets[0]?.length ?? 0) / (multimask ? 3 : 1);
    if (each === 0) return [];
    const decoded = this.sam.decodeEach(
      this.#embeddings,
      this.seen.map(() => each),
      prompts(),
      { multimask },
    );
    return this.seen.map(({ image: { width, height } }, i) => {
      const masks = targets[i] as readonly Uint8Array[];
      const { lowRes, iou } = decoded[i] as SamMasks;
      const { imageSize } = this.sam.config;
      const target = concat(
        masks.map((mask) => enqueueUpload(mask, [1, height, width])),
        0,
      );
      const pred = reshape(lowRes, [masks.length, ...lowRes.shape.slice(2)]);
      const placement = { inputSize: imageSize, resized: placementOf(height, width, imageSize).resized };
      return { pred, target, placement, iou: reshape(iou, [masks.length]) };
    });
  }

  /** A pixel of a picture in SAM's input. */
  #inInput({ image: { width, height } }: Regions, pixel: number): number {
    return ((pixel + 0.5) * this.sam.config.imageSize) / Math.max(width, height) - 0.5;
  }
}

interface AskedPhrase {
  readonly words: readonly number[];
  readonly mask: Uint8Array;
  /** Whether the patches that show the mask come with the words; without them all that is called so is meant. */
  readonly isShown: boolean;
}

/** Of the phrases that are asked for. */
const shownShare = 0.6;

/**
 * Phrases as `[SEG]` will bring them: tokens of patches and words, as the first layer reads them, in a mean such as attention makes.
 * @param patches - `[pictures, patches, dim]`.
 * @returns `[phrases, 1, promptDim]`.
 */
function phrasePrompts(
  model: MglmmForCausalLM,
  patches: Tensor,
  seen: readonly Regions[],
  asked: readonly (readonly AskedPhrase[])[],
  chance: Chance,
): Tensor {
  const [pictures, count, dim] = patches.shape as [number, number, number];
  const { embedTokens, layers, norm } = model.model;
  const table = embedTokens.weight;
  const sources = concat([reshape(patches, [pictures * count, dim]), table], 0);
  const width = sources.shape[0] as number;
  const rows = asked.flatMap((phrases, picture) => phrases.map((phrase) => ({ ...phrase, picture })));
  const weights = new Float32Array(rows.length * width);
  for (const [row, { words, mask, isShown, picture }] of rows.entries()) {
    const shown = isShown ? attended(mask, (seen[picture] as Regions).image, Math.sqrt(count), chance) : undefined;
    if (shown) weights.set(shown, row * width + picture * count);
    for (const id of words) (weights[row * width + pictures * count + id] as number) += 1 / words.length;
  }
  const first = (layers[0] as (typeof layers)[number]).inputLayernorm;
  const mixed = matmul(cast(tensor(weights, [rows.length, width]), table.dtype), first.forward(sources));
  return model.segPrompts(norm.forward(mixed));
}

/** Some places of each map, `[pictures, promptDim, grid, grid]`, as rows, one map behind another. */
function placesOf(maps: Tensor, chance: Chance): { rows: Tensor; cells: number[][] } {
  const [pictures, channels, grid] = maps.shape as [number, number, number];
  const area = grid * grid;
  const cells = Array.from({ length: pictures }, () => Array.from({ length: askedPlaces }, () => Math.floor(chance() * area)));
  const tokens = permute(reshape(maps, [pictures, channels, area]), [0, 2, 1]);
  const index = cells.flatMap((row, picture) => row.map((cell) => picture * area + cell));
  return { rows: gatherRows(reshape(tokens, [pictures * area, channels]), tensor(index, [index.length], 'i32')), cells };
}
