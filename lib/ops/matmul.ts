import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface MatmulOptions {
  /** Reads `a` as its transpose: it is stored as `[..., k, m]`. */
  transposeA?: boolean;
  /** Reads `b` as its transpose: it is stored as `[..., n, k]`. */
  transposeB?: boolean;
}

/**
 * Matrix products `a b`, one for each of the leading axes, sums in f32.
 * @param a - `[..., m, k]`, f32, bf16 or f16.
 * @param b - `[..., k, n]`, dtype of `a`. Leading axes are equal, or one side is a single matrix that serves all.
 * @returns `[..., m, n]`, dtype of `a`; differentiable in both.
 * @throws ShapeError, DtypeError for what does not fit.
 */
export function matmul(a: Tensor, b: Tensor, options?: MatmulOptions): Tensor {
  return call('matmul', { a, b, transposeA: options?.transposeA, transposeB: options?.transposeB }).y as Tensor;
}
