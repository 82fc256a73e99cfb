/**
 * The two-way transformer of SAM's mask decoder: tokens read the image, the image reads the tokens. Kirillov et al. 2023,
 * https://arxiv.org/abs/2304.02643, appendix A. The masks of one image share what depends on the image alone: `image` has batch
 * 1 until the tokens of a mask have first been written into it.
 */
import type { Dtype } from '../../../native';
import { LayerNorm, Linear, Module } from '../../../nn';
import { add } from '../../../ops/add';
import { attention } from '../../../ops/attention';
import { concat } from '../../../ops/concat';
import { relu } from '../../../ops/relu';
import { reshape } from '../../../ops/reshape';
import { tidy } from '../../../tensor/scope';
import type { Tensor } from '../../../tensor/tensor';
import type { SamConfig } from '../config';
import { MlpBlock } from '../mlp';

/** `x` `count` times along its first axis, of size 1. */
export const repeat = (x: Tensor, count: number): Tensor => (count === 1 ? x : concat(new Array<Tensor>(count).fill(x), 0));

/** Attention in `inner` dimensions of queries to other tokens. */
export class DecoderAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly outProj: Linear;
  readonly #heads: number;

  constructor({ promptDim, decoderHeads }: SamConfig, inner: number, dtype: Dtype) {
    super();
    this.qProj = new Linear(promptDim, inner, { dtype });
    this.kProj = new Linear(promptDim, inner, { dtype });
    this.vProj = new Linear(promptDim, inner, { dtype });
    this.outProj = new Linear(inner, promptDim, { dtype });
    this.#heads = decoderHeads;
  }

  /**
   * @param q - `[masks or 1, queries, promptDim]`; 1 serves all masks.
   * @param k - `[masks or 1, keys, promptDim]`; 1 serves all masks.
   * @param v - shape of `k`.
   * @returns `[masks, queries, promptDim]`.
   */
  forward(q: Tensor, k: Tensor, v: Tensor): Tensor {
    const [[given, queries], [batch, keys]] = [q.shape as [number, number], k.shape as [number, number]];
    const masks = Math.max(given, batch);
    const projected = this.qProj.forward(q);
    const inner = projected.shape[2] as number;
    const split = (x: Tensor, tokens: number) => reshape(x, [batch, tokens, this.#heads, inner / this.#heads]);
    // Queries do not see each other: those of all masks to the keys of one image are one batch.
    const y = attention(
      split(repeat(projected, masks / given), (masks * queries) / batch),
      split(this.kProj.forward(k), keys),
      split(this.vProj.forward(v), keys),
      { tokensFirst: true },
    );
    return this.outProj.forward(reshape(y, [masks, queries, inner]));
  }
}

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
    x = this.norm3.forward(add(x, this.mlp.forward(x)));
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
