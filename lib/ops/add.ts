import { record, run } from '../autograd/call';
import { sumTo } from '../autograd/sum_to';
import type { Tensor } from '../tensor/tensor';

/**
 * `a + b`, with `b` broadcast to `a`: aligned at the last axis, each size of `b` is that of `a`, or 1, or missing in front.
 * @param a - `[...]`, f32, bf16 or f16.
 * @param b - Broadcasts to `a`, the same dtype.
 * @returns Shape and dtype of `a`; differentiable in both.
 * @throws ShapeError when `b` does not broadcast to `a`, DtypeError when the dtypes differ.
 */
export function add(a: Tensor, b: Tensor): Tensor {
  const y = run('add', { a, b }).y as Tensor;
  const [trainsB, shapeB] = [b.requiresGrad, b.shape];
  return record('add', y, [a, b], [], (dy) => [dy, trainsB ? sumTo(dy, shapeB) : undefined]);
}
