import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface SamAttentionOptions {
  /** Of the map, in tokens. */
  height: number;
  width: number;
  /** Default `1 / sqrt(headDim)`. */
  softmaxScale?: number;
}

export interface SamAttentionPackedOptions extends SamAttentionOptions {
  heads: number;
}

/**
 * Attention over a map with decomposed relative position: the logits of query token `(ih, iw)` and key token `(jh, jw)` are
 * `softmaxScale * q.k + q.relPosH[ih - jh + height - 1] + q.relPosW[iw - jw + width - 1]`.
 * @param q - `[batch, heads, height * width, headDim]`, f32, bf16 or f16.
 * @param k - Shape and dtype of `q`.
 * @param v - Shape and dtype of `q`.
 * @param relPosH - `[2 * height - 1, headDim]`, dtype of `q`.
 * @param relPosW - `[2 * width - 1, headDim]`, dtype of `q`.
 * @returns Shape and dtype of `q`; differentiable in all tensors.
 * @throws ShapeError, DtypeError, or ArgumentError for sizes below 1 or a scale not above 0.
 * @see Li et al. 2022, https://arxiv.org/abs/2112.01526; Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function samAttention(q: Tensor, k: Tensor, v: Tensor, relPosH: Tensor, relPosW: Tensor, options: SamAttentionOptions): Tensor {
  const { height, width, softmaxScale } = options ?? {};
  return call('samAttention', { q, k, v, relPosH, relPosW, height, width, softmaxScale }).y as Tensor;
}

/**
 * {@link samAttention} on the output of a qkv projection as it is, so that no head is copied.
 * @param qkv - `[batch, height * width, 3 * heads * headDim]`: q, k, v of a token one after another, each head by head.
 * @returns `[batch, height * width, heads * headDim]`, dtype of `qkv`; differentiable in all tensors.
 * @throws as {@link samAttention}.
 */
export function samAttentionPacked(qkv: Tensor, relPosH: Tensor, relPosW: Tensor, options: SamAttentionPackedOptions): Tensor {
  const { heads, height, width, softmaxScale } = options ?? {};
  return call('samAttentionPacked', { qkv, relPosH, relPosW, heads, height, width, softmaxScale }).y as Tensor;
}
