import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Chosen rows of a matrix: `x[index[i]]`.
 * @param x - `[rows, dim]`, any dtype; floating ones are differentiable.
 * @param index - `[n]`, i32, 0 to rows - 1. One out of range makes the next await on the result an ArgumentError that names
 *   its position and value.
 * @returns `[n, dim]`, dtype of `x`; differentiable in `x`: gradients of a row taken twice add up.
 * @throws ShapeError, DtypeError.
 */
export function gatherRows(x: Tensor, index: Tensor): Tensor {
  const y = run('gatherRows', { x, index }).y as Tensor;
  const rows = x.shape[0] as number;
  return record('gatherRows', y, [x], [index], (dy, kept) => [run('gatherRowsBackward', { dy, index: kept, rows }).dx]);
}
