/**
 * SAM's mask decoder: an image and prompts to masks with the quality that it expects of them. Kirillov et al. 2023,
 * https://arxiv.org/abs/2304.02643, appendix A.
 */
import { ShapeError } from '../../../errors';
import type { Dtype } from '../../../native';
import { Embedding, Linear, Module } from '../../../nn';
import { add } from '../../../ops/add';
import { concat } from '../../../ops/concat';
import { permute } from '../../../ops/permute';
import { relu } from '../../../ops/relu';
import { reshape } from '../../../ops/reshape';
import { slice } from '../../../ops/slice';
import { tidy } from '../../../tensor/scope';
import type { Tensor } from '../../../tensor/tensor';
import type { SamConfig } from '../config';
import type { EncodedPrompts } from '../prompt_encoder';
import { repeat } from './attention';
import { TwoWayTransformer } from './transformer';
import { Upscaling } from './upscaling';

export interface SamMasks {
  /** `[masks, outputs, 4 grid, 4 grid]`, logits: above 0 is the object. One output, or all but the first of the mask tokens. */
  readonly lowRes: Tensor;
  /** `[masks, outputs]`: the intersection over union with the true mask that the model expects. */
  readonly iou: Tensor;
}

/** Linear layers with ReLU between. */
class Mlp extends Module {
  readonly layers: readonly Linear[];

  constructor(sizes: readonly number[], dtype: Dtype) {
    super();
    this.layers = sizes.slice(1).map((size, i) => new Linear(sizes[i] as number, size, { dtype }));
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer, i) => layer.forward(i === 0 ? y : relu(y)), x);
  }
}

export class MaskDecoder extends Module {
  readonly transformer: TwoWayTransformer;
  readonly iouToken: Embedding;
  readonly maskTokens: Embedding;
  readonly outputUpscaling: Upscaling;
  readonly outputHypernetworksMlps: readonly Mlp[];
  readonly iouPredictionHead: Mlp;

  constructor(config: SamConfig, dtype: Dtype) {
    super();
    const { promptDim, maskTokens, iouHeadDim, iouHeadDepth } = config;
    this.transformer = new TwoWayTransformer(config, dtype);
    this.iouToken = new Embedding(1, promptDim, { dtype });
    this.maskTokens = new Embedding(maskTokens, promptDim, { dtype });
    this.outputUpscaling = new Upscaling(promptDim, dtype);
    const hyper = () => new Mlp([promptDim, promptDim, promptDim, promptDim / 8], dtype);
    this.outputHypernetworksMlps = Array.from({ length: maskTokens }, hyper);
    this.iouPredictionHead = new Mlp([promptDim, ...new Array<number>(iouHeadDepth - 1).fill(iouHeadDim), maskTokens], dtype);
  }

  /**
   * @param embedding - `[masks or 1, promptDim, grid, grid]`; 1: the masks are of one image.
   * @param imagePe - `[1, grid^2, promptDim]`, the positions of the image's tokens.
   * @param multimask - all outputs but the first, for prompts that may mean several things; else the first.
   * @returns differentiable.
   * @throws ShapeError or DtypeError for what does not fit.
   */
  forward(embedding: Tensor, imagePe: Tensor, { sparse, dense }: EncodedPrompts, { multimask = false } = {}): SamMasks {
    const [masks, images, grid] = [sparse.shape[0] as number, embedding.shape[0] as number, embedding.shape[3] as number];
    if (images !== 1 && images !== masks) throw new ShapeError(`sam: embedding has ${images} images, expected 1, or ${masks}, one a mask`);
    return tidy(() => {
      const outputTokens = concat([this.iouToken.weight, this.maskTokens.weight], 0);
      const tokens = concat([repeat(reshape(outputTokens, [1, ...outputTokens.shape]), masks), sparse], 1);
      const image = images < (dense.shape[0] as number) ? add(dense, embedding) : add(embedding, dense);
      const decoded = this.transformer.forward(tokens, channelsLast(image), imagePe);
      const wanted = multimask ? [...this.outputHypernetworksMlps.keys()].slice(1) : [0];
      const [first, last] = [wanted[0] as number, (wanted.at(-1) as number) + 1];
      const hyper = wanted.map((i) => (this.outputHypernetworksMlps[i] as Mlp).forward(slice(decoded.tokens, 1, 1 + i, 2 + i)));
      const lowRes = this.outputUpscaling.forward(decoded.image, concat(hyper, 1), grid);
      const iou = this.iouPredictionHead.forward(slice(decoded.tokens, 1, 0, 1));
      return { lowRes, iou: reshape(slice(iou, 2, first, last), [masks, wanted.length]) };
    });
  }
}

/** `[batch, channels, height, width]` to `[batch, height * width, channels]`. */
function channelsLast(map: Tensor): Tensor {
  const [batch, channels, height, width] = map.shape as [number, number, number, number];
  return permute(reshape(map, [batch, channels, height * width]), [0, 2, 1]);
}
