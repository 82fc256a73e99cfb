/** Where prompts point to on SAM's map as it is, before the mask decoder: a short way for a gradient, on which a new model finds first where things are. */
import type { RgbImage } from '../image/decode';
import { matmul } from '../ops/matmul';
import { reshape } from '../ops/reshape';
import { scale } from '../ops/scale';
import { tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import type { MaskPair } from './objective';
import { onMap } from './regions';

/**
 * @param prompts - `[masks, 1, promptDim]`.
 * @param map - `[1, promptDim, grid, grid]`, of `sam.encodeImage`.
 * @param masks - `[height, width]` of `image` each, as many as prompts.
 * @returns products of each prompt with each place, and whether the mask has its middle: `[masks, grid, grid]`.
 */
export function mapPair(prompts: Tensor, map: Tensor, masks: readonly Uint8Array[], image: RgbImage): MaskPair {
  const [, channels, grid] = map.shape as [number, number, number, number];
  const shape = [masks.length, grid, grid];
  const logits = matmul(reshape(prompts, [masks.length, channels]), reshape(map, [channels, grid * grid]));
  const target = new Uint8Array(masks.length * grid * grid);
  for (const [i, mask] of masks.entries()) target.set(onMap(mask, image, grid), i * grid * grid);
  return { pred: reshape(scale(logits, channels ** -0.5), shape), target: tensor(target, shape) };
}
