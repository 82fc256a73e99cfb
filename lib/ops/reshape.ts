import { record } from '../autograd/call';
import { ShapeError } from '../errors';
import { Tensor } from '../tensor/tensor';

/**
 * The elements of `x` in order, with other sizes: a view, on the same memory.
 * @param x - `[...]`, any dtype.
 * @param shape - as many elements as `x`.
 * @returns Dtype of `x`; differentiable in it.
 * @throws ShapeError when the number of elements differs.
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const y = Tensor.alias(x, shape);
  if (y.count !== x.count) {
    y.dispose();
    throw new ShapeError(`reshape: shape is [${shape.join(', ')}], expected ${x.count} elements, those of x [${x.shape.join(', ')}]`);
  }
  const before = x.shape;
  return record('reshape', y, [x], [], (dy) => [Tensor.alias(dy, before)]);
}
