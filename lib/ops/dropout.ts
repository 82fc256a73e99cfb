import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Zeros each element with probability `p` and divides the others by `1 - p`. Which ones depends on `seed` and
 * `offset + i` alone, so that a second forward (recompute) and the gradient drop the same ones.
 * @param x - `[...]`, f32, bf16 or f16.
 * @param p - 0 up to, not including, 1.
 * @param seed - at least 0; take another for each step and place, or other offsets.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws ArgumentError, DtypeError.
 * @see Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting
 */
export function dropout(x: Tensor, p: number, seed: number, offset = 0): Tensor {
  return call('dropout', { x, p, seed: seed ?? null, offset }).y as Tensor;
}
