import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface AttentionOptions {
  /** Query `i` sees keys `j <= i + keys - queries`; default false. */
  causal?: boolean;
  /** Default `1 / sqrt(headDim)`. */
  softmaxScale?: number;
  /** `[batch, keys]` u8: 0 hides a key. */
  keyMask?: Tensor;
  /** All tensors are `[batch, tokens, heads, headDim]`, as a projection leaves them; default false. */
  tokensFirst?: boolean;
}

/**
 * Scaled dot-product attention, `softmax(softmaxScale * q k^T) v`. `heads / kvHeads` consecutive heads of `q` share a head
 * of `k` and `v`. A query that sees no key gives 0.
 * @param q - `[batch, heads, queries, headDim]`, f32, bf16 or f16; `headDim` 1 to 256.
 * @param k - `[batch, kvHeads, keys, headDim]`, dtype of `q`.
 * @param v - Shape and dtype of `k`.
 * @returns Shape and dtype of `q`; differentiable in `q`, `k` and `v`.
 * @throws ShapeError, DtypeError, or ArgumentError for heads that do not divide or a scale not above 0.
 * @see Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; Dao et al. 2022, https://arxiv.org/abs/2205.14135
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  return call('attention', {
    q,
    k,
    v,
    keyMask: options?.keyMask,
    causal: options?.causal,
    softmaxScale: options?.softmaxScale,
    tokensFirst: options?.tokensFirst,
  }).y as Tensor;
}
