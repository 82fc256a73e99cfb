import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * `x` along one axis from `begin` up to `end`, in memory of its own.
 * @param x - `[...]`, any dtype.
 * @param axis - negative counts from the last.
 * @returns `x` with `end - begin` along `axis`; differentiable in it.
 * @throws ArgumentError when axis, begin or end are outside of `x`.
 */
export function slice(x: Tensor, axis: number, begin: number, end: number): Tensor {
  const y = run('slice', { x, axis, begin, end }).y as Tensor;
  const size = x.shape.at(axis) as number;
  return record('slice', y, [x], [], (dy) => [run('sliceBackward', { dy, axis, begin, size }).dx]);
}
