import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * The axes of `x` in another order: axis `i` of the result is axis `axes[i]` of `x`. The result has memory of its own.
 * @param x - `[...]`, any dtype.
 * @param axes - each axis of `x` once; negative ones count from the last.
 * @returns Dtype of `x`; differentiable in it.
 * @throws ArgumentError when `axes` is no order of the axes.
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  const y = run('permute', { x, axes }).y as Tensor;
  const inverse: number[] = [];
  axes.forEach((axis, i) => {
    inverse[axis < 0 ? axis + axes.length : axis] = i;
  });
  return record('permute', y, [x], [], (dy) => [run('permute', { x: dy, axes: inverse }).y]);
}
