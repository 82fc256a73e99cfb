import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Pixels that each mask of `a` shares with each mask of `b`: the numerators of pairwise IoU. A mask with itself gives its area.
 * @param a - `[n, ..., bytes]`, u8, masks as {@link packBits} gives them.
 * @param b - `[m, ..., bytes]`, u8, a mask's shape as in `a`.
 * @returns `[n, m]`, i32; no gradient.
 * @throws ShapeError or DtypeError for what does not fit.
 */
export function maskIntersections(a: Tensor, b: Tensor): Tensor {
  return run('maskIntersections', { a, b }).counts as Tensor;
}
