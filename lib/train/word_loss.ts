/**
 * Words for what patches show, by the head that tells words: so CLIP's tokens come to stand where the words stand that they mean. They
 * go to the head as they are, without a norm, which keeps them about as large as words: behind a norm nothing would, and tokens that
 * grow and grow can neither be changed by a layer nor learn.
 */
import type { RgbImage } from '../image/decode';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { cast } from '../ops/cast';
import { concat } from '../ops/concat';
import { gatherRows } from '../ops/gather_rows';
import { linearCrossEntropy } from '../ops/linear_cross_entropy';
import { reshape } from '../ops/reshape';
import { scale } from '../ops/scale';
import { sum } from '../ops/sum';
import { tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import { type Chance, cellPlace, patchPlace, type Regions, thinned, wordsAt } from './regions';

/** By the root of how rare tokens are: kinds, of which there are many, leave room for colours. */
const weighed = ({ phrases }: Regions, often: ReadonlyMap<number, number>): number[][] =>
  phrases.map((phrase) => phrase.map((id) => (often.get(id) ?? 1) ** -0.5));

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
 * @returns cross entropy in nats, f32 `[]`, of words of masks that have a place of the patch, drawn by `chance`; 0 where there is none.
 */
export function wordLoss(model: MglmmForCausalLM, seen: readonly Regions[], patches: Tensor, chance: Chance, places?: AskedPlaces): Tensor {
  const [pictures, count, dim] = patches.shape as [number, number, number];
  const often = new Map<number, number>();
  for (const id of seen.flatMap(({ phrases }) => phrases.flat())) often.set(id, (often.get(id) ?? 0) + 1);
  const weights = seen.map((regions) => weighed(regions, often));
  const labels: number[] = [];
  const rows: number[] = [];
  const ask = (row: number, picture: number, placeIn: (image: RgbImage) => { x: number; y: number } | undefined) => {
    const regions = seen[picture] as Regions;
    const place = placeIn(regions.image);
    for (const word of place ? wordsAt(regions, place, weights[picture] as number[][], chance) : []) {
      labels.push(word);
      rows.push(row);
    }
  };
  for (let row = 0; row < pictures * count; row++)
    ask(row, Math.floor(row / count), (image) => patchPlace(image, Math.sqrt(count), row % count, chance));
  let row = pictures * count;
  for (const [picture, cells] of places?.cells.entries() ?? [])
    for (const cell of cells) ask(row++, picture, (image) => cellPlace(image, places?.grid ?? 1, cell, chance));
  const kept = thinned(labels, chance);
  const tokens = reshape(patches, [pictures * count, dim]);
  const states = places ? concat([tokens, places.tokens], 0) : tokens;
  if (kept.length === 0) return scale(cast(sum(states), 'f32'), 0); // with gradients, of 0
  const head = model.lmHead?.weight ?? model.model.embedTokens.weight;
  const [asked, words] = [rows, labels].map((of) =>
    tensor(
      kept.map((i) => of[i] as number),
      [kept.length],
      'i32',
    ),
  ) as [Tensor, Tensor];
  return linearCrossEntropy(gatherRows(states, asked), head, words).loss;
}
