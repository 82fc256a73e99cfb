/**
 * Segment Anything: the embedding of an image, made once, and masks for points, boxes, masks, or texts' embeddings. Kirillov et
 * al. 2023, https://arxiv.org/abs/2304.02643.
 */
import type { Dtype } from '../../native';
import { Module } from '../../nn';
import { bilinear } from '../../ops/bilinear';
import { cast } from '../../ops/cast';
import { concat } from '../../ops/concat';
import { gatherRows } from '../../ops/gather_rows';
import { reshape } from '../../ops/reshape';
import { slice } from '../../ops/slice';
import { tensor } from '../../tensor/create';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { gridSize, type SamConfig } from './config';
import { ImageEncoder } from './image_encoder/model';
import type { Placement } from './input';
import { MaskDecoder, type SamMasks } from './mask_decoder/model';
import { PromptEncoder, type SamPrompts } from './prompt_encoder';

/** Tokens a side of an image up to which the masks of a batch are decoded together. */
const largestJoinedGrid = 32;

export class Sam extends Module {
  readonly imageEncoder: ImageEncoder;
  readonly promptEncoder: PromptEncoder;
  readonly maskDecoder: MaskDecoder;
  readonly config: SamConfig;

  constructor(config: SamConfig, { dtype = 'f32' }: { dtype?: Dtype } = {}) {
    super();
    this.imageEncoder = new ImageEncoder(config, dtype);
    this.promptEncoder = new PromptEncoder(config, dtype);
    this.maskDecoder = new MaskDecoder(config, dtype);
    this.config = config;
  }

  get dtype(): Dtype {
    return this.imageEncoder.posEmbed.dtype;
  }

  /**
   * @param pixels - `[batch, 3, imageSize, imageSize]`, normalised, then padded with zeros; dtype of the weights.
   * @param options.recompute - run each block again for its gradient instead of keeping what it made; default false.
   * @returns `[batch, promptDim, grid, grid]`; differentiable.
   */
  encodeImage(pixels: Tensor, options: { recompute?: boolean } = {}): Tensor {
    return this.imageEncoder.forward(pixels, options);
  }

  /**
   * @param embedding - of {@link encodeImage}: of one image that all prompts are about, or one a prompt.
   * @param options.multimask - three masks a prompt, whole, part and sub-part, for one that may mean several things such as a
   *   single point; default one.
   * @returns differentiable.
   * @throws ArgumentError, ShapeError or DtypeError for prompts that do not fit.
   */
  decode(embedding: Tensor, prompts: SamPrompts, options: { multimask?: boolean } = {}): SamMasks {
    return tidy(() => {
      const encoded = this.promptEncoder.forward(prompts);
      return this.maskDecoder.forward(embedding, this.promptEncoder.imagePe(), encoded, options);
    });
  }

  /**
   * The masks of several images, for training. Those of small images are decoded in one call, where a call costs more than what the
   * masks of an image could share.
   * @param embeddings - `[1, promptDim, grid, grid]` of each image.
   * @param counts - prompts of each image, at least one.
   * @param prompts - of all images, one image behind another.
   * @returns of each image what its prompts ask for; differentiable.
   */
  decodeEach(
    embeddings: readonly Tensor[],
    counts: readonly number[],
    prompts: SamPrompts,
    options: { multimask?: boolean } = {},
  ): SamMasks[] {
    let end = 0;
    const ranges = counts.map((count) => {
      end += count;
      return [end - count, end] as const;
    });
    return tidy(() => {
      const encoded = this.promptEncoder.forward(prompts);
      const decode = (embedding: Tensor, sparse: Tensor) =>
        this.maskDecoder.forward(embedding, this.promptEncoder.imagePe(), { ...encoded, sparse }, options);
      if (embeddings.length === 1 || gridSize(this.config) > largestJoinedGrid)
        return embeddings.map((embedding, i) => decode(embedding, slice(encoded.sparse, 0, ...(ranges[i] as readonly [number, number]))));
      const of = counts.flatMap((count, i) => new Array<number>(count).fill(i));
      const [, ...map] = (embeddings[0] as Tensor).shape;
      const rows = reshape(concat(embeddings, 0), [embeddings.length, map.reduce((product, side) => product * side, 1)]);
      const joined = decode(reshape(gatherRows(rows, tensor(of, [of.length], 'i32')), [of.length, ...map]), encoded.sparse);
      return ranges.map((range) => ({ lowRes: slice(joined.lowRes, 0, ...range), iou: slice(joined.iou, 0, ...range) }));
    });
  }

  /**
   * Logits in the size of the image: enlarged to the model's input, freed of its padding, resized, all in f32.
   * @param lowRes - `[masks, outputs, 4 grid, 4 grid]`.
   * @param placement - of the image in the model's input, from `samInput`.
   * @returns `[masks, outputs, height, width]` f32; differentiable.
   */
  resizeMasks(lowRes: Tensor, { resized, original }: Placement): Tensor {
    return tidy(() => {
      const { imageSize } = this.config;
      const whole = bilinear(cast(lowRes, 'f32'), imageSize, imageSize);
      const picture = resized.every((side) => side === imageSize) ? whole : slice(slice(whole, 2, 0, resized[0]), 3, 0, resized[1]);
      return resized.join() === original.join() ? picture : bilinear(picture, ...original);
    });
  }
}
