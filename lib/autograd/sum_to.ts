import { Tensor } from '../tensor/tensor';
import { run } from './run';

/** The gradient of what was broadcast from `shape`: `dy` summed over the axes along which it was repeated. */
export function sumTo(dy: Tensor, shape: readonly number[]): Tensor {
  const missing = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((size, axis) => (axis < missing || shape[axis - missing] !== size ? [axis] : []));
  if (axes.length === 0) return Tensor.alias(dy, shape);
  const summed = run('sum', { x: dy, axes }).y as Tensor;
  const y = Tensor.alias(summed, shape);
  summed.dispose();
  return y;
}
