import { call, record, run } from '../autograd/call';
import { records } from '../autograd/graph';
import { sumOfPadding } from '../autograd/sum_of_padding';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { reshape } from './reshape';
import { windowPartition, windowUnpartition } from './window_partition';

export interface SamAttentionOptions {
  /** Of the map, in tokens. */
  height: number;
  width: number;
  /** Default `1 / sqrt(headDim)`. */
  softmaxScale?: number;
}

export interface SamAttentionPackedOptions extends SamAttentionOptions {
  heads: number;
  /** Tokens a side of the square windows that are attended to by themselves, cut as {@link windowPartition} does; default the whole map. */
  window?: number;
  /** `[3 * heads * headDim]`, dtype of `qkv`: the tokens of windows beyond the map, keys and values as others; default zeros. */
  padding?: Tensor;
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
 * Windows are read where they lie in the map; only a gradient copies them.
 * @param qkv - `[batch, height * width, 3 * heads * headDim]`: q, k, v of a token one after another, each head by head.
 * @param relPosH - `[2 * height - 1, headDim]`, with windows `[2 * window - 1, headDim]`; dtype of `qkv`.
 * @param relPosW - `[2 * width - 1, headDim]`, with windows `[2 * window - 1, headDim]`; dtype of `qkv`.
 * @returns `[batch, height * width, heads * headDim]`, dtype of `qkv`; differentiable in all tensors.
 * @throws as {@link samAttention}; ArgumentError for `padding` without a `window`.
 */
export function samAttentionPacked(qkv: Tensor, relPosH: Tensor, relPosW: Tensor, options: SamAttentionPackedOptions): Tensor {
  const { heads, height, width, window, padding, softmaxScale } = options ?? {};
  const fields = { qkv, relPosH, relPosW, padding, heads, height, width, window, softmaxScale };
  const inputs = padding ? [qkv, relPosH, relPosW, padding] : [qkv, relPosH, relPosW];
  if (!window || !records(inputs)) return call('samAttentionPacked', fields).y as Tensor;
  const { y, logsumexp } = run('samAttentionPacked', fields, ['y', 'logsumexp']) as { y: Tensor; logsumexp: Tensor };
  const isTrained = inputs.map(({ requiresGrad }) => requiresGrad);
  return record('samAttentionPacked', y, inputs, [y, logsumexp, ...inputs], (dy, ...saved) =>
    tidy(() => backwardOfWindows(dy, saved, isTrained, { ...options, window })),
  );
}

/** Each window as a map of its own. */
function backwardOfWindows(
  dy: Tensor,
  saved: readonly Tensor[],
  isTrained: readonly boolean[],
  { heads, height, width, window, softmaxScale }: SamAttentionPackedOptions & { window: number },
): (Tensor | undefined)[] {
  const [y, logsumexp, qkv, relPosH, relPosW, padding] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?];
  const [batch, , size] = qkv.shape as [number, number, number];
  const [windows] = logsumexp.shape as [number];
  const cut = (x: Tensor, dim: number, beyond?: Tensor) =>
    reshape(windowPartition(reshape(x, [batch, height, width, dim]), window, beyond), [windows, window * window, dim]);
  const maps = { dy: cut(dy, size / 3), qkv: cut(qkv, size, padding), relPosH, relPosW, y: cut(y, size / 3), logsumexp };
  const [isQkvTrained, isHTrained, isWTrained, isPaddingTrained] = isTrained;
  const wanted = [
    ...(isQkvTrained || isPaddingTrained ? ['dqkv'] : []),
    ...(isHTrained ? ['drelPosH'] : []),
    ...(isWTrained ? ['drelPosW'] : []),
  ];
  const made = run('samAttentionPackedBackward', { ...maps, heads, height: window, width: window, softmaxScale }, wanted);
  const dqkv = made.dqkv && reshape(made.dqkv as Tensor, [windows, window, window, size]);
  return [
    isQkvTrained && dqkv ? reshape(windowUnpartition(dqkv, height, width), qkv.shape) : undefined,
    made.drelPosH as Tensor | undefined,
    made.drelPosW as Tensor | undefined,
    isPaddingTrained && dqkv ? sumOfPadding(dqkv, height, width) : undefined,
  ];
}
