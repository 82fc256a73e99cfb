/** Masks as results: small, away from the device, and in the forms that programs want. */
import { ArgumentError } from '../errors';
import { maskPng } from '../image/mask_png';
import { polygonsFromRle } from '../image/outlines';
import type { MaskPolygon } from '../image/polygons';
import { type Box, type Rle, rleArea, rleBox } from '../image/rle';
import { maskBits } from '../ops/mask_bits';
import { reshape } from '../ops/reshape';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { decodeMasks, encodeMasks } from './encode_masks';

/** One mask of a picture, at its size. Held as run lengths, a few KB; other forms are made when they are asked for. */
export class Mask {
  readonly rle: Rle;
  /** How good the network thinks it is, as an IoU from 0 to 1. */
  readonly score?: number;
  #area?: number;
  #box?: Box;

  constructor(rle: Rle, score?: number) {
    this.rle = rle;
    this.score = score;
  }

  get height(): number {
    return this.rle.size[0];
  }

  get width(): number {
    return this.rle.size[1];
  }

  /** Pixels that are set. */
  get area(): number {
    this.#area ??= rleArea(this.rle);
    return this.#area;
  }

  /** The smallest that holds all pixels, in pixels; all 0 for an empty mask. */
  get box(): Box {
    this.#box ??= rleBox(this.rle);
    return this.#box;
  }

  /** `[height, 8 ceil(width / 64)]`: bit `k` of byte `b` of a row is pixel `8 b + k`. */
  async bits(): Promise<Uint8Array> {
    return this.#read(true);
  }

  /** `[height, width]`, 0 or 1. */
  async pixels(): Promise<Uint8Array> {
    return this.#read(false);
  }

  /** A file of one bit a pixel, white where the mask is. */
  async png(): Promise<Uint8Array> {
    return maskPng(await this.bits(), this.width, this.height);
  }

  /** Its connected parts along the edges of pixels, with holes: `rleFromPolygons` gives the same mask again. */
  polygons(): Promise<MaskPolygon[]> {
    return polygonsFromRle(this.rle);
  }

  /** As COCO's annotations hold a mask. */
  toJSON(): { segmentation: Rle; area: number; bbox: Box; score?: number } {
    return { segmentation: this.rle, area: this.area, bbox: this.box, score: this.score };
  }

  async #read(bits: boolean): Promise<Uint8Array> {
    return onDevice('cpu', () => tidy(async () => (await (await decodeMasks([this.rle], bits)).read()) as Uint8Array));
  }
}

export interface ReadMasksOptions {
  /** A side of the network's square input, in pixels. */
  inputSize: number;
  /** Of the input, from its upper left corner, what is picture; in pixels. */
  resized: readonly [height: number, width: number];
  /** Of the picture, in pixels. */
  original: readonly [height: number, width: number];
  /** A pixel is set where its logit is above; default 0. */
  threshold?: number;
  /** Of each mask. */
  scores?: ArrayLike<number>;
}

/**
 * Masks of a network's low-resolution logits, at the size of the picture.
 * @param logits - `[n, lowHeight, lowWidth]` or `[n, 1, lowHeight, lowWidth]`, f32, bf16 or f16.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export async function readMasks(logits: Tensor, options: ReadMasksOptions): Promise<Mask[]> {
  const { scores, ...sizes } = options ?? {};
  const rles = await tidy(() => {
    const shape = logits?.shape ?? [];
    const bits = maskBits(
      shape.length === 4 && shape[1] === 1 ? reshape(logits, [shape[0], shape[2], shape[3]] as number[]) : logits,
      sizes,
    );
    return encodeMasks(bits, sizes.original[1]);
  });
  if (scores && scores.length !== rles.length)
    throw new ArgumentError(`readMasks: scores has ${scores.length} numbers, expected ${rles.length}, the masks of logits`);
  return rles.map((rle, i) => new Mask(rle, scores?.[i]));
}
