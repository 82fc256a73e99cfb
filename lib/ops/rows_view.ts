import { ArgumentError, GradientError } from '../errors';
import { Tensor } from '../tensor/tensor';

/**
 * Rows `begin` up to `end` of the first axis on the same memory: what an op changes in place in them, it changes in `x`.
 * @param x - `[rows, ...]`, any dtype.
 * @returns `[end - begin, ...]`. No gradient.
 * @throws ArgumentError when the rows are outside of `x`; GradientError when `x` requires a gradient.
 */
export function rowsView(x: Tensor, begin: number, end: number): Tensor {
  const [rows = 0, ...rest] = x?.shape ?? [];
  if (!(Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end && end <= rows)) {
    throw new ArgumentError(`rowsView: rows are ${String(begin)} to ${String(end)}, expected within 0 to ${rows}, the first axis of x`);
  }
  if (x.requiresGrad) throw new GradientError('rowsView has no gradient; call slice, or give it a tensor that requires none');
  const rowCount = rest.reduce((product, size) => product * size, 1);
  return Tensor.alias(x, [end - begin, ...rest], begin * rowCount);
}
