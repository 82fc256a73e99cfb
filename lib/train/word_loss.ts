/**
 * Words for what patches show, by the head that tells words: so CLIP's tokens come to stand where the words stand that they mean. They
 * go to the head as they are, without a norm, which keeps them about as large as words: behind a norm nothing would, and tokens that
 * grow and grow can neither be changed by a layer nor learn.
 */
import { phrasesOf } from '../data/sample';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { cast } from '../ops/cast';
import { concat } from '../ops/concat';
import { linearCrossEntropy } from '../ops/linear_cross_entropy';
import { reshape } from '../ops/reshape';
import { scale } from '../ops/scale';
import { sum } from '../ops/sum';
import { tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import type { Tokenizer } from '../text/tokenizer';
import { ignoreLabel } from '../text/tokens';
import type { Item } from './micro_batch';
import { type Chance, cellPlace, patchPlace, type Regions, thinned, wordAt } from './regions';

/** The picture of an item with its masks and what they are called; none where it has no masks. */
export function regionsOf({ image, masks, example: { sample } }: Item, tokenizer: Tokenizer): Regions[] {
  if (!image || masks.length === 0) return [];
  return [{ image, masks, phrases: phrasesOf(sample).map((phrase) => tokenizer.encode(phrase)) }];
}

/** Places of SAM's map that are asked too. */
export interface AskedPlaces {
  /** `[pictures * cells, dim]`. */
  readonly tokens: Tensor;
  /** Of each picture, as many each, row by row of its map. */
  readonly cells: readonly (readonly number[])[];
  readonly grid: number;
}

/**
 * @param patches - `[pictures, patches, dim]`, of `encodeImage`.
 * @returns cross entropy in nats, f32 `[]`, of a word of a mask that has a place of the patch, drawn by `chance`; 0 where there is none.
 */
export function wordLoss(model: MglmmForCausalLM, seen: readonly Regions[], patches: Tensor, chance: Chance, places?: AskedPlaces): Tensor {
  const [pictures, count, dim] = patches.shape as [number, number, number];
  const rarity = new Map<number, number>();
  for (const id of seen.flatMap(({ phrases }) => phrases.flat()))
    rarity.set(id, 1 / (1 / (rarity.get(id) ?? Number.POSITIVE_INFINITY) + 1));
  const labels: number[] = [];
  const label = (regions: Regions, place: { x: number; y: number } | undefined) =>
    labels.push((place && wordAt(regions, place, rarity, chance)) ?? ignoreLabel);
  for (const regions of seen)
    for (let patch = 0; patch < count; patch++) label(regions, patchPlace(regions.image, Math.sqrt(count), patch, chance));
  for (const [picture, row] of places?.cells.entries() ?? [])
    for (const cell of row) label(seen[picture] as Regions, cellPlace((seen[picture] as Regions).image, places?.grid ?? 1, cell, chance));
  const asked = thinned(labels, chance);
  const tokens = reshape(patches, [pictures * count, dim]);
  const states = places ? concat([tokens, places.tokens], 0) : tokens;
  if (asked.every((label) => label === ignoreLabel)) return scale(cast(sum(states), 'f32'), 0); // with gradients, of 0
  const head = model.lmHead?.weight ?? model.model.embedTokens.weight;
  return linearCrossEntropy(states, head, tensor(asked, [asked.length], 'i32')).loss;
}
