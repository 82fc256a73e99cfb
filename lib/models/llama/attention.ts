import type { Dtype } from '../../native';
import { Linear } from '../../nn/linear';
import { Module } from '../../nn/module';
import { attention } from '../../ops/attention';
import { attentionCached } from '../../ops/attention_cached';
import { reshape } from '../../ops/reshape';
import { rope } from '../../ops/rope';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaConfig } from './config';
import type { CachedLayer } from './key_value_pool';

/** Where the tokens of whole sequences stand: the same for every layer. */
export interface TokenPlaces {
  /** `[batch, seq]` i32. */
  readonly positionIds: Tensor;
  /** `[batch, seq]` u8, 0 at padding. */
  readonly keyMask?: Tensor;
}

/** Where new tokens stand that follow cached ones: the same for every layer. */
export interface NewTokenPlaces {
  /** `[batch]` i32: tokens in each row's cache before these. */
  readonly offsets: Tensor;
  /** `[batch, width]` i32: the pages of each row in the cache. */
  readonly pageTable: Tensor;
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

  /** Whole sequences: `[batch, seq, dim]` to the same. */
  forward(x: Tensor, { positionIds, keyMask }: TokenPlaces): Tensor {
    const { q, k, v } = this.#project(x);
    const turned = (heads: Tensor) => rope(heads, positionIds, { base: this.#config.ropeBase, tokensFirst: true });
    return this.#join(attention(turned(q), turned(k), v, { causal: true, keyMask, tokensFirst: true }));
  }

  /** `[batch, seq, dim]` to the same, behind the tokens in `cached`, where these are appended. */
  extend(x: Tensor, { offsets, pageTable, lengths }: NewTokenPlaces, { keys, values }: CachedLayer): Tensor {
    const { q, k, v } = this.#project(x);
    const options = { lengths, pageTable, ropeBase: this.#config.ropeBase, tokensFirst: true };
    return this.#join(attentionCached(q, k, v, keys, values, offsets, options));
  }

  /** `[batch, seq, heads or kvHeads, headDim]`. */
  #project(x: Tensor): { q: Tensor; k: Tensor; v: Tensor } {
    const { heads, kvHeads, headDim } = this.#config;
    const [batch, seq] = x.shape as readonly [number, number, number];
    const split = (projected: Tensor, count: number) => reshape(projected, [batch, seq, count, headDim]);
    return {
      q: split(this.qProj.forward(x), heads),
      k: split(this.kProj.forward(x), kvHeads),
      v: split(this.vProj.forward(x), kvHeads),
    };
  }

  #join(y: Tensor): Tensor {
    const [batch, seq, heads, headDim] = y.shape as readonly [number, number, number, number];
    return this.oProj.forward(reshape(y, [batch, seq, heads * headDim]));
  }
}
