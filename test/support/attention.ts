import { strict as assert } from 'node:assert';
import type { Tensor } from '../../lib';
import { assertWithin, epsilon } from './close';

export interface AttentionCase {
  batch: number;
  heads: number;
  kvHeads: number;
  queries: number;
  keys: number;
  headDim: number;
  /** Whether query `i` sees key `j`, in row `b` of the batch. */
  sees?: (b: number, i: number, j: number) => boolean;
  /** Added to the logits. */
  bias?: (b: number, head: number, i: number, j: number) => number;
  softmaxScale?: number;
}

/** Attention in float64 over `[batch, heads, tokens, headDim]`; 0 where no key is seen. */
export function attentionInFloat64(one: AttentionCase, q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>): Float64Array {
  const { batch, heads, kvHeads, queries, keys, headDim } = one;
  const scale = one.softmaxScale ?? 1 / Math.sqrt(headDim);
  const y = new Float64Array(batch * heads * queries * headDim);
  for (let b = 0; b < batch; b++)
    for (let head = 0; head < heads; head++) {
      const shared = (b * kvHeads + Math.floor((head * kvHeads) / heads)) * keys * headDim;
      for (let i = 0; i < queries; i++) {
        const row = ((b * heads + head) * queries + i) * headDim;
        const logits = new Float64Array(keys).fill(Number.NEGATIVE_INFINITY);
        for (let j = 0; j < keys; j++) {
          if (one.sees && !one.sees(b, i, j)) continue;
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += (q[row + d] as number) * (k[shared + j * headDim + d] as number);
          logits[j] = scale * dot + (one.bias?.(b, head, i, j) ?? 0);
        }
        const most = logits.reduce((a, c) => Math.max(a, c), Number.NEGATIVE_INFINITY);
        if (most === Number.NEGATIVE_INFINITY) continue;
        const weights = logits.map((logit) => Math.exp(logit - most));
        const total = weights.reduce((a, c) => a + c, 0);
        for (let j = 0; j < keys; j++) {
          const p = (weights[j] as number) / total;
          if (p > 0) for (let d = 0; d < headDim; d++) y[row + d] = (y[row + d] as number) + p * (v[shared + j * headDim + d] as number);
        }
      }
    }
  return y;
}

/**
 * `y` within what rounding allows. A logit errs by the rounding of `terms` products of size `logit`, and moves a
 * probability, so the result, by as much; bf16, and on a GPU f16, also rounds each probability, by half of its epsilon, before the second
 * product (docs/numerics.md).
 */
export async function expectAttention(y: Tensor, expected: Float64Array, terms: number, logit: number): Promise<void> {
  const values = await y.read();
  let largest = 0;
  for (const value of expected) largest = Math.max(largest, Math.abs(value));
  const logitError = 4 * Math.sqrt(terms) * epsilon.f32 * logit;
  const rounded = y.dtype === 'bf16' || (y.dtype === 'f16' && y.device !== 'cpu');
  const probability = rounded ? epsilon[y.dtype as 'bf16'] / 2 : 0;
  const store = epsilon[y.dtype as 'f32'];
  assert.ok(values.length === expected.length);
  assertWithin(values, expected, (wanted) => (2 * logitError + 8 * epsilon.f32 + probability) * largest + store * Math.abs(wanted), y);
}

/** `[batch, heads, tokens, dim]` values in the order `[batch, tokens, heads, dim]`. */
export function tokensFirst<Values extends Float32Array | Float64Array>(
  values: Values,
  [batch, heads, tokens, dim]: readonly number[],
): Values {
  const [B, H, T, D] = [batch as number, heads as number, tokens as number, dim as number];
  const moved = values.slice() as Values;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let t = 0; t < T; t++)
        for (let d = 0; d < D; d++) moved[((b * T + t) * H + h) * D + d] = values[((b * H + h) * T + t) * D + d] as number;
  return moved;
}
