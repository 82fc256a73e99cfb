import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface RopeOptions {
  /** Base of the frequencies, above 0; default 10000. */
  base?: number;
  /** `x` is `[batch, seq, heads, headDim]`, as a projection leaves it. */
  tokensFirst?: boolean;
}

/**
 * Rotary position embedding in Hugging Face's half rotation: pairs `(i, i + headDim / 2)` turn by
 * `position * base^(-2 i / headDim)` radians, an angle formed in f32.
 * @param x - `[batch, heads, seq, headDim]`, f32, bf16 or f16; `headDim` even.
 * @param positionIds - `[batch, seq]` i32.
 * @returns Shape and dtype of `x`; differentiable in `x`.
 * @throws ShapeError, DtypeError, or ArgumentError for an odd `headDim` or a `base` not above 0.
 * @see Su et al. 2021, https://arxiv.org/abs/2104.09864
 */
export function rope(x: Tensor, positionIds: Tensor, options: RopeOptions = {}): Tensor {
  return call('rope', { x, positionIds, base: options?.base, tokensFirst: options?.tokensFirst }).y as Tensor;
}
