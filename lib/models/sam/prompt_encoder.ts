/**
 * SAM's prompts as the mask decoder reads them: points, boxes and texts as tokens, a mask as a map that is added to the
 * image. Kirillov et al. 2023, https://arxiv.org/abs/2304.02643.
 */
import { ArgumentError } from '../../errors';
import type { Dtype } from '../../native';
import { Conv2d, Embedding, LayerNorm2d, Module, parameter, Sequential } from '../../nn';
import { add } from '../../ops/add';
import { cast } from '../../ops/cast';
import { concat } from '../../ops/concat';
import { embedding } from '../../ops/embedding';
import { zeros } from '../../ops/fill';
import { fourierEncoding } from '../../ops/fourier_encoding';
import { gelu } from '../../ops/gelu';
import { mul } from '../../ops/mul';
import { permute } from '../../ops/permute';
import { randomNormal } from '../../ops/random_normal';
import { reshape } from '../../ops/reshape';
import { withAmbient } from '../../tensor/ambient';
import { tensor } from '../../tensor/create';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { gridSize, type SamConfig } from './config';

/** A click, in pixels of the model's input. */
export interface SamPoint {
  readonly x: number;
  readonly y: number;
  /** 1: on the object, 0: beside it, -1: nowhere, to fill up. */
  readonly label: 1 | 0 | -1;
}

/** Left, top, right and bottom, in pixels of the model's input. */
export type SamBox = readonly [number, number, number, number];

/** One mask is asked for by what stands at its place in each list that is given; all are as long. */
export interface SamPrompts {
  /** As many points for every mask. */
  readonly points?: readonly (readonly SamPoint[])[];
  readonly boxes?: readonly SamBox[];
  /** `[masks, tokens, promptDim]`, dtype of the weights: the embedding of a `[SEG]`. */
  readonly text?: Tensor;
  /** `[masks, 1, 4 grid, 4 grid]`, dtype of the weights: logits of an earlier answer. */
  readonly masks?: Tensor;
}

export interface EncodedPrompts {
  /** `[masks, tokens, promptDim]`: points, boxes, texts. */
  readonly sparse: Tensor;
  /** `[masks, promptDim, grid, grid]`, or `[1, promptDim, 1, 1]` when no mask is given. */
  readonly dense: Tensor;
}

/** Places as random Fourier features. */
class PositionEmbedding extends Module {
  /** `[2, promptDim / 2]`. */
  readonly positionalEncodingGaussianMatrix: Tensor;

  constructor(promptDim: number, dtype: Dtype) {
    super();
    this.positionalEncodingGaussianMatrix = parameter([2, promptDim / 2], dtype);
  }

  /** `[..., 2]` f32, x and y as shares of the image, to `[..., promptDim]` f32: half precision has no digits for the angles. */
  forward(places: Tensor): Tensor {
    return fourierEncoding(places, cast(this.positionalEncodingGaussianMatrix, 'f32'));
  }

  protected override reset(seed: number): void {
    const { shape, dtype } = this.positionalEncodingGaussianMatrix;
    this.replace('positionalEncodingGaussianMatrix', randomNormal(shape, { seed, dtype }));
  }
}

const kCorners = 2; // of a box: left top, right bottom

export class PromptEncoder extends Module {
  readonly peLayer: PositionEmbedding;
  /** Of points beside the object, points on it, left top corners, right bottom corners. */
  readonly pointEmbeddings: readonly Embedding[];
  readonly notAPointEmbed: Embedding;
  readonly maskDownscaling: Sequential;
  readonly noMaskEmbed: Embedding;
  readonly #config: SamConfig;
  #imagePe: { of: Tensor; dtype: Dtype; pe: Tensor } | undefined;

  constructor(config: SamConfig, dtype: Dtype) {
    super();
    const { promptDim, maskChannels } = config;
    const row = () => new Embedding(1, promptDim, { dtype });
    this.#config = config;
    this.peLayer = new PositionEmbedding(promptDim, dtype);
    this.pointEmbeddings = [row(), row(), row(), row()];
    this.notAPointEmbed = row();
    this.maskDownscaling = new Sequential(
      new Conv2d(1, maskChannels / 4, 2, { stride: 2, dtype }),
      new LayerNorm2d(maskChannels / 4, { dtype }),
      gelu,
      new Conv2d(maskChannels / 4, maskChannels, 2, { stride: 2, dtype }),
      new LayerNorm2d(maskChannels, { dtype }),
      gelu,
      new Conv2d(maskChannels, promptDim, 1, { dtype }),
    );
    this.noMaskEmbed = row();
  }

  /** The positions of the image's tokens as a map, `[1, promptDim, grid, grid]`, in the dtype of the weights. */
  densePe(): Tensor {
    const [size, { promptDim }] = [gridSize(this.#config), this.#config];
    return tidy(() => permute(reshape(this.imagePe(), [1, size, size, promptDim]), [0, 3, 1, 2]));
  }

  /** The positions of the image's tokens, `[1, grid^2, promptDim]`, in the dtype of the weights; made once, not yours to free. */
  imagePe(): Tensor {
    const [of, { dtype }] = [this.peLayer.positionalEncodingGaussianMatrix, this.noMaskEmbed.weight];
    if (this.#imagePe?.of !== of || this.#imagePe.dtype !== dtype) {
      this.#imagePe?.pe.dispose();
      // It outlives the caller's scope, and is made whole even if the caller gives up.
      const pe = withAmbient({ scope: undefined, gradients: false, token: undefined }, () => tidy(() => this.makeImagePe(dtype)));
      this.#imagePe = { of, dtype, pe };
    }
    return this.#imagePe.pe;
  }

  /**
   * @returns differentiable in the embeddings, texts and masks.
   * @throws ArgumentError when lists differ in length or no prompt is given; ShapeError or DtypeError for tensors that do not fit.
   */
  forward(prompts: SamPrompts): EncodedPrompts {
    const { points, boxes, text, masks } = prompts;
    const count = countOf(prompts);
    const { weight } = this.noMaskEmbed;
    return tidy(() => {
      const sparse = [
        ...(points ? [this.embedPoints(points, boxes === undefined)] : []),
        ...(boxes ? [this.embedBoxes(boxes)] : []),
        ...(text ? [text] : []),
      ];
      return {
        sparse: sparse.length > 0 ? concat(sparse, 1) : zeros([count, 0, this.#config.promptDim], weight.dtype),
        dense: masks ? this.maskDownscaling.forward(masks) : reshape(weight, [1, this.#config.promptDim, 1, 1]),
      };
    });
  }

  override dispose(): void {
    super.dispose();
    this.#imagePe?.pe.dispose();
    this.#imagePe = undefined;
  }

  private makeImagePe(dtype: Dtype): Tensor {
    const size = gridSize(this.#config);
    const centres = Float32Array.from({ length: 2 * size * size }, (_, i) => {
      const token = Math.floor(i / 2);
      return ((i % 2 === 0 ? token % size : Math.floor(token / size)) + 0.5) / size;
    });
    return cast(this.peLayer.forward(tensor(centres, [1, size * size, 2])), dtype);
  }

  /** `[masks, points, promptDim]`, with a point that is none at the end when no box follows. */
  private embedPoints(points: readonly (readonly SamPoint[])[], alone: boolean): Tensor {
    const nowhere: SamPoint = { x: 0, y: 0, label: -1 };
    const rows = points.map((row) => (alone ? [...row, nowhere] : row));
    const shape = [rows.length, rows[0]?.length ?? 0];
    const all = rows.flat();
    const places = this.embedPlaces(
      all.flatMap(({ x, y }) => [x, y]),
      [...shape, 2],
    );
    const seen = cast(
      tensor(
        Float32Array.from(all, ({ label }) => Math.min(label + 1, 1)),
        [...shape, 1],
      ),
      places.dtype,
    );
    const kinds = concat([this.notAPointEmbed.weight, ...this.pointEmbeddings.slice(0, 2).map(({ weight }) => weight)], 0);
    const labels = Int32Array.from(all, ({ label }) => label + 1);
    return add(mul(places, seen), embedding(kinds, tensor(labels, shape)));
  }

  /** `[masks, 2, promptDim]`. */
  private embedBoxes(boxes: readonly SamBox[]): Tensor {
    const corners = concat(
      this.pointEmbeddings.slice(2).map(({ weight }) => weight),
      0,
    );
    return add(this.embedPlaces(boxes.flat(), [boxes.length, kCorners, 2]), corners);
  }

  /** Pixels `[..., 2]` to `[..., promptDim]` in the dtype of the weights; a pixel is its centre. */
  private embedPlaces(pixels: readonly number[], shape: readonly number[]): Tensor {
    const shares = Float32Array.from(pixels, (pixel) => (pixel + 0.5) / this.#config.imageSize);
    return cast(this.peLayer.forward(tensor(shares, shape)), this.noMaskEmbed.weight.dtype);
  }
}

/** How many masks are asked for. */
function countOf({ points, boxes, text, masks }: SamPrompts): number {
  const lengths = Object.entries({ points: points?.length, boxes: boxes?.length, text: text?.shape[0], masks: masks?.shape[0] });
  const [first, ...others] = lengths.filter((entry): entry is [string, number] => entry[1] !== undefined);
  if (!first) throw new ArgumentError('sam: no prompt is given, expected points, boxes, text or masks');
  for (const [name, length] of others)
    if (length !== first[1]) throw new ArgumentError(`sam: ${name} has ${length} entries, expected ${first[1]}, those of ${first[0]}`);
  if (first[1] === 0) throw new ArgumentError(`sam: ${first[0]} has no entries, expected one a mask`);
  points?.forEach((row, i) => {
    const expected = points[0]?.length;
    if (row.length !== expected)
      throw new ArgumentError(`sam: points[${i}] has ${row.length} points, expected ${expected}, those of points[0]`);
    row.forEach(({ x, y, label }, j) => {
      if (![-1, 0, 1].includes(label)) throw new ArgumentError(`sam: points[${i}][${j}].label is ${label}, expected 1, 0 or -1`);
      if (!Number.isFinite(x + y)) throw new ArgumentError(`sam: points[${i}][${j}] is at ${x}, ${y}, expected finite pixels`);
    });
  });
  boxes?.forEach((box, i) => {
    if (box.length !== 4 || !box.every(Number.isFinite))
      throw new ArgumentError(`sam: boxes[${i}] is [${box.join(', ')}], expected 4 finite pixels: left, top, right, bottom`);
  });
  return first[1];
}
