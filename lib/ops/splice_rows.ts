import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Each sequence with the row at its position replaced by `n` rows: image features in the place of the image token.
 * @param x - `[batch, seq, dim]`, any dtype.
 * @param rows - `[batch, n, dim]`, dtype of `x`.
 * @param positions - `[batch]`, i32, 0 to seq - 1. One out of range makes the next await on the result an ArgumentError that
 *   names it.
 * @returns `[batch, seq - 1 + n, dim]`; differentiable in `x` and `rows`.
 * @throws ShapeError, DtypeError.
 */
export function spliceRows(x: Tensor, rows: Tensor, positions: Tensor): Tensor {
  const y = run('spliceRows', { x, rows, positions }).y as Tensor;
  const count = rows.shape[1] as number;
  const wanted = [...(x.requiresGrad ? ['dx'] : []), ...(rows.requiresGrad ? ['drows'] : [])];
  return record('spliceRows', y, [x, rows], [positions], (dy, kept) => {
    const { dx, drows } = run('spliceRowsBackward', { dy, positions: kept, count }, wanted);
    return [dx, drows];
  });
}
