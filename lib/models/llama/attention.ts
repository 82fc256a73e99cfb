import type { Dtype } from '../../native';
import { Linear } from '../../nn/linear';
import { Module } from '../../nn/module';
import { attention } from '../../ops/attention';
import { attentionCached } from '../../ops/attention_cached';
import { reshape } from '../../ops/reshape';
import { rope } from '../../ops/rope';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaConfig } from './config';
import type { CachedLayer } from './key_value_cache';

/** Where the tokens of a forward stand: the same for every layer. */
export interface TokenPlaces {
  /** `[batch, seq]` i32. */
  readonly positionIds: Tensor;
  /** `[batch, seq]` u8, 0 at padding; of a forward without a cache. */
  readonly keyMask?: Tensor;
  /** `[batch]` i32: tokens in each row's cache before these; of a forward with one. */
  readonly offsets?: Tensor;
  /** `[batch]` i32: how many of the tokens of each row are real; default all. */
  readonly lengths?: Tensor;
}

/** Causal attention with rotary positions, whose keys and values may have fewer heads. Ainslie et al. 2023, arXiv 2305.13245. */
export class LlamaAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;
  readonly #config: LlamaConfig;

  constructor(config: LlamaConfig, dtype: Dtype) {
    super();
    const { dim, heads, kvHeads, headDim } = config;
    const options = { bias: false, dtype };
    this.qProj = new Linear(dim, heads * headDim, options);
    this.kProj = new Linear(dim, kvHeads * headDim, options);
    this.vProj = new Linear(dim, kvHeads * headDim, options);
    this.oProj = new Linear(heads * headDim, dim, options);
    this.#config = config;
  }

  /**
   * `[batch, seq, dim]` to the same.
   * @param cached - keys and values of the tokens before; these tokens' are appended at `places.offsets`.
   */
  forward(x: Tensor, places: TokenPlaces, cached?: CachedLayer): Tensor {
    const { heads, kvHeads, headDim, ropeBase } = this.#config;
    const [batch, seq] = x.shape as readonly [number, number, number];
    const split = (projected: Tensor, count: number) => reshape(projected, [batch, seq, count, headDim]);
    const turned = (projected: Tensor, count: number) =>
      rope(split(projected, count), places.positionIds, { base: ropeBase, tokensFirst: true });
    const q = turned(this.qProj.forward(x), heads);
    const k = turned(this.kProj.forward(x), kvHeads);
    const v = split(this.vProj.forward(x), kvHeads);
    const y =
      cached && places.offsets
        ? attentionCached(q, k, v, cached.keys, cached.values, places.offsets, { lengths: places.lengths, tokensFirst: true })
        : attention(q, k, v, { causal: true, keyMask: places.keyMask, tokensFirst: true });
    return this.oProj.forward(reshape(y, [batch, seq, heads * headDim]));
  }
}
