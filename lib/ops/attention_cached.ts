import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface AttentionCachedOptions {
  /** `[batch]` i32: how many of the new tokens of each row are real, the rest is padding on the right; default all. */
  lengths?: Tensor;
  /**
   * `[batch, rowPages]` i32: the caches are pages, in any order; token `i` of row `b` is in page `pageTable[b, i / pageTokens]`. Rows
   * may share a page, unless one of them appends to it. Entries behind a row's tokens are not read.
   */
  pageTable?: Tensor;
  /** Default `1 / sqrt(headDim)`. */
  softmaxScale?: number;
  /**
   * Turn `q` and `k` to their positions first, which are `offsets[b] + i`: what `rope` with this base gives, bit for bit, without
   * a pass of its own. `headDim` must be even. Default 0: they come turned.
   */
  ropeBase?: number;
  /** `q`, `k`, `v` and the result are `[batch, tokens, heads, headDim]`; the caches are not. Default false. */
  tokensFirst?: boolean;
}

/**
 * Appends new keys and values to a cache, in place, and attends to all of it causally. A row of a ragged batch gives what it
 * would give in a batch of its own, bit for bit. The caches must have been written before (zeros will do).
 * @param q - `[batch, heads, tokens, headDim]`, f32, bf16 or f16.
 * @param k - `[batch, kvHeads, tokens, headDim]`, dtype of `q`.
 * @param v - Shape and dtype of `k`.
 * @param keyCache - `[batch, kvHeads, capacity, headDim]`, dtype of `q`; changed. With `pageTable` `[pages, kvHeads, pageTokens, headDim]`,
 *   `pageTokens` a multiple of 64.
 * @param valueCache - Shape and dtype of `keyCache`; changed.
 * @param offsets - `[batch]` i32: tokens already in each row's cache.
 * @returns Shape and dtype of `q`, 0 at tokens that are not real; not differentiable.
 * @throws ShapeError, DtypeError or ArgumentError; reading the result rejects with ArgumentError when a cache has no room or no such page.
 */
export function attentionCached(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  keyCache: Tensor,
  valueCache: Tensor,
  offsets: Tensor,
  options: AttentionCachedOptions = {},
): Tensor {
  return call('attentionCached', {
    q,
    k,
    v,
    keyCache,
    valueCache,
    offsets,
    lengths: options?.lengths,
    pageTable: options?.pageTable,
    softmaxScale: options?.softmaxScale,
    ropeBase: options?.ropeBase,
    tokensFirst: options?.tokensFirst,
  }).y as Tensor;
}
