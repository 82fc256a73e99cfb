/**
 * The two-way transformer of SAM's mask decoder: tokens read the image, the image reads the tokens. Kirillov et al. 2023,
 * https://arxiv.org/abs/2304.02643, appendix A. The masks of one image share what depends on the image alone: `image` has batch
 * 1 until the tokens of a mask have first been written into it.
 */
import type { Dtype } from '../../../native';
import { LayerNorm, Module } from '../../../nn';
import { add } from '../../../ops/add';
import { relu } from '../../../ops/relu';
import { tidy } from '../../../tensor/scope';
import type { Tensor } from '../../../tensor/tensor';
import type { SamConfig } from '../config';
import { MlpBlock } from '../mlp';
import { DecoderAttention } from './attention';

/** What a layer reads and hands on: tokens `[masks, tokens, promptDim]` and image `[masks or 1, grid^2, promptDim]`. */
export interface TokensAndImage {
  readonly tokens: Tensor;
  readonly image: Tensor;
}

class TwoWayLayer extends Module {
  readonly selfAttn: DecoderAttention;
  readonly norm1: LayerNorm;
  readonly crossAttnTokenToImage: DecoderAttention;
  readonly norm2: LayerNorm;
  readonly mlp: MlpBlock;
  readonly norm3: LayerNorm;
  readonly norm4: LayerNorm;
  readonly crossAttnImageToToken: DecoderAttention;
  readonly #first: boolean;

  constructor(config: SamConfig, first: boolean, dtype: Dtype) {
    super();
    const { promptDim, decoderMlpDim } = config;
    this.selfAttn = new DecoderAttention(config, promptDim, dtype);
    this.norm1 = new LayerNorm(promptDim, { dtype });
    this.crossAttnTokenToImage = new DecoderAttention(config, promptDim / 2, dtype);
    this.norm2 = new LayerNorm(promptDim, { dtype });
    this.mlp = new MlpBlock(promptDim, decoderMlpDim, relu, dtype);
    this.norm3 = new LayerNorm(promptDim, { dtype });
    this.norm4 = new LayerNorm(promptDim, { dtype });
    this.crossAttnImageToToken = new DecoderAttention(config, promptDim / 2, dtype);
    this.#first = first;
  }

  /** @param tokenPe - shape of `tokens`. @param imagePe - `[1, grid^2, promptDim]`. */
  forward({ tokens, image }: TokensAndImage, tokenPe: Tensor, imagePe: Tensor): TokensAndImage {
    let x = this.norm1.forward(this.attendToTokens(tokens, tokenPe));
    const placedImage = add(image, imagePe);
    x = this.norm2.forward(add(x, this.crossAttnTokenToImage.forward(add(x, tokenPe), placedImage, image)));
    x = this.norm3.forward(this.mlp.forward(x, x));
    const update = this.crossAttnImageToToken.forward(placedImage, add(x, tokenPe), x);
    return { tokens: x, image: this.norm4.forward(add(update, image)) };
  }

  /** The first layer knows no positions, which its tokens are themselves, and no residual. */
  private attendToTokens(tokens: Tensor, tokenPe: Tensor): Tensor {
    if (this.#first) return this.selfAttn.forward(tokens, tokens, tokens);
    const placed = add(tokens, tokenPe);
    return add(tokens, this.selfAttn.forward(placed, placed, tokens));
  }
}

export class TwoWayTransformer extends Module {
  readonly layers: readonly TwoWayLayer[];
  readonly finalAttnTokenToImage: DecoderAttention;
  readonly normFinalAttn: LayerNorm;

  constructor(config: SamConfig, dtype: Dtype) {
    super();
    const { promptDim, decoderDepth } = config;
    this.layers = Array.from({ length: decoderDepth }, (_, i) => new TwoWayLayer(config, i === 0, dtype));
    this.finalAttnTokenToImage = new DecoderAttention(config, promptDim / 2, dtype);
    this.normFinalAttn = new LayerNorm(promptDim, { dtype });
  }

  /**
   * @param tokens - `[masks, tokens, promptDim]`; they are their own positions as well.
   * @param image - `[masks or 1, grid^2, promptDim]`.
   * @param imagePe - `[1, grid^2, promptDim]`.
   */
  forward(tokens: Tensor, image: Tensor, imagePe: Tensor): TokensAndImage {
    return tidy(() => {
      let state: TokensAndImage = { tokens, image };
      for (const layer of this.layers) {
        const { tokens: x, image: y } = state;
        state = tidy(() => layer.forward({ tokens: x, image: y }, tokens, imagePe));
        if (y !== image) y.dispose();
      }
      const { tokens: x, image: y } = state;
      const read = this.finalAttnTokenToImage.forward(add(x, tokens), add(y, imagePe), y);
      return { tokens: this.normFinalAttn.forward(add(x, read)), image: y };
    });
  }
}
