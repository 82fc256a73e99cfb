/** What the masks of a picture can be asked by: a point, a box, the patches that show them, and words for a place. */
import type { RgbImage } from '../image/decode';

/** A number from 0 up to 1, another with each call. */
export type Chance = () => number;

/** A picture with its masks, `[height, width]` each, and the tokens of their phrases. */
export interface Regions {
  readonly image: RgbImage;
  readonly masks: readonly Uint8Array[];
  readonly phrases: readonly (readonly number[])[];
}

/** A whole number below `count`. */
export const pick = (count: number, chance: Chance): number => Math.min(count - 1, Math.floor(chance() * count));

/** Left, top, right and bottom pixel. */
export function boxOf(mask: Uint8Array, width: number): [number, number, number, number] {
  let [left, top, right, bottom] = [width, mask.length / width, -1, -1];
  for (let i = mask.indexOf(1); i >= 0; i = mask.indexOf(1, i + 1)) {
    const [x, y] = [i % width, Math.floor(i / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = y;
  }
  return [left, top, right, bottom];
}

/** A box as a person draws it: each side off by up to a tenth of the box. */
export function drawnBox(mask: Uint8Array, width: number, chance: Chance): [number, number, number, number] {
  const [left, top, right, bottom] = boxOf(mask, width);
  const off = (side: number) => 0.2 * (chance() - 0.5) * side;
  const [wide, high] = [right - left, bottom - top];
  return [left + off(wide), top + off(high), right + off(wide), bottom + off(high)];
}

/** A pixel of the mask. */
export function pointOn(mask: Uint8Array, width: number, chance: Chance): { x: number; y: number } {
  const [left, top, right, bottom] = boxOf(mask, width);
  for (;;) {
    const [x, y] = [left + pick(right - left + 1, chance), top + pick(bottom - top + 1, chance)];
    if (mask[y * width + x] === 1) return { x, y };
  }
}

/** Three masks that a point may mean, from the largest that has it to the smallest: whole, part and sub-part. */
export function meantBy({ masks, image: { width } }: Regions, { x, y }: { x: number; y: number }): [Uint8Array, Uint8Array, Uint8Array] {
  const having = masks
    .filter((mask) => mask[y * width + x] === 1)
    .map((mask) => ({ mask, area: mask.reduce((sum, bit) => sum + bit, 0) }))
    .sort((a, b) => b.area - a.area);
  const at = (share: number) => having[Math.round(share * (having.length - 1))]?.mask as Uint8Array;
  return [at(0), at(0.5), at(1)];
}

/** The pixels that have this phrase: of all masks that are called so. */
export function calledAs({ masks, phrases }: Regions, index: number): Uint8Array {
  const name = phrases[index]?.join();
  const same = masks.filter((_, i) => phrases[i]?.join() === name);
  if (same.length === 1) return same[0] as Uint8Array;
  return (masks[index] as Uint8Array).map((_, pixel) => Number(same.some((mask) => mask[pixel] === 1)));
}

/** A place in a patch of CLIP, which sees the middle square of a picture. */
export function patchPlace({ width, height }: RgbImage, grid: number, patch: number, chance: Chance): { x: number; y: number } {
  const [side, left, top] = [Math.min(width, height), Math.max(0, width - height) / 2, Math.max(0, height - width) / 2];
  return {
    x: Math.min(width - 1, Math.floor(left + (((patch % grid) + chance()) * side) / grid)),
    y: Math.min(height - 1, Math.floor(top + ((Math.floor(patch / grid) + chance()) * side) / grid)),
  };
}

/** A place in a cell of SAM's map, whose side is the longer one of the picture; none where the map is empty. */
export function cellPlace({ width, height }: RgbImage, grid: number, cell: number, chance: Chance): { x: number; y: number } | undefined {
  const side = Math.max(width, height) / grid;
  const [x, y] = [Math.floor(((cell % grid) + chance()) * side), Math.floor((Math.floor(cell / grid) + chance()) * side)];
  return x < width && y < height ? { x, y } : undefined;
}

/** A mask on SAM's map, `[grid, grid]`: each cell as its middle is. */
export function onMap(mask: Uint8Array, image: RgbImage, grid: number): Uint8Array {
  return Uint8Array.from({ length: grid * grid }, (_, cell) => {
    const middle = cellPlace(image, grid, cell, () => 0.5);
    return middle ? (mask[middle.y * image.width + middle.x] as number) : 0;
  });
}

/**
 * Some of the patches that show a mask, by how much of it they show: weights that sum up to 1, as attention would give.
 * @returns undefined where no patch shows it.
 */
export function attended(mask: Uint8Array, image: RgbImage, grid: number, chance: Chance): Float32Array | undefined {
  const weights = new Float32Array(grid * grid);
  for (let patch = 0; patch < weights.length; patch++) {
    for (let look = 0; look < looks; look++) {
      const { x, y } = patchPlace(image, grid, patch, chance);
      (weights[patch] as number) += mask[y * image.width + x] as number;
    }
  }
  const shown = weights.reduce((sum, weight) => sum + weight, 0);
  if (shown === 0) return undefined;
  const kept = weights.map((weight) => (chance() < 0.5 ? weight : 0));
  const chosen = kept.some((weight) => weight > 0) ? kept : weights;
  const sum = chosen.reduce((total, weight) => total + weight, 0);
  return chosen.map((weight) => weight / sum);
}

/** Pixels of a patch that are looked at. */
const looks = 8;

/**
 * Tokens of what is at a place, each of a mask that has it, and by the weights that tokens of phrases have: one where one mask has it,
 * which says little, several where a thing and its parts do.
 * @param weights - for each token of each phrase.
 */
export function wordsAt(
  { masks, phrases, image: { width } }: Regions,
  { x, y }: { x: number; y: number },
  weights: readonly (readonly number[])[],
  chance: Chance,
): number[] {
  const pixel = y * width + x;
  const having: number[] = [];
  for (let i = 0; i < masks.length; i++) if (masks[i]?.[pixel] === 1 && (phrases[i] as readonly number[]).length > 0) having.push(i);
  return Array.from({ length: having.length > 1 ? wordsOfThing : having.length }, () => {
    const chosen = having[pick(having.length, chance)] as number;
    const shares = weights[chosen] as readonly number[];
    let left = chance() * shares.reduce((sum, share) => sum + share, 0);
    const at = shares.findIndex((share) => {
      left -= share;
      return left <= 0;
    });
    return phrases[chosen]?.[Math.max(0, at)] as number;
  });
}

/** How many words a place of a thing is asked for: there are its kind, its colour, its part, where it is. */
const wordsOfThing = 4;

/** How often a word may be asked for, by the mean of all words that are. */
const mostOften = 3;

/**
 * Which of `labels` are asked for: not all of those that come again and again, as sky and grass do, so that a loss is not of these alone.
 * @returns their places, in order.
 */
export function thinned(labels: readonly number[], chance: Chance): number[] {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const most = (mostOften * labels.length) / counts.size;
  return [...labels.keys()].filter((i) => chance() * (counts.get(labels[i] as number) as number) <= most);
}
