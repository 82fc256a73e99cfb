import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Tensors one after another along one axis.
 * @param xs - at least one; one dtype, and sizes equal but along `axis`.
 * @param axis - negative counts from the last.
 * @returns Their dtype, the sizes along `axis` added up; differentiable in all.
 * @throws ShapeError, DtypeError when one does not fit the first.
 */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const y = run('concat', { xs, axis }).y as Tensor;
  const parts = xs.map((x) => ({ trained: x.requiresGrad, size: x.shape.at(axis) as number }));
  return record('concat', y, xs, [], (dy) => {
    let end = 0;
    return parts.map(({ trained, size }) => {
      const begin = end;
      end += size;
      return trained ? run('slice', { x: dy, axis, begin, end }).y : undefined;
    });
  });
}
