import { record, run } from '../autograd/call';
import { guarded, native } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface SumOptions {
  /** Leaves the summed axes with size 1. Default false. */
  keepDims?: boolean;
}

function reduce(op: string, x: Tensor, axes: readonly number[], options: SumOptions, mean: boolean): Tensor {
  const keepDims = options?.keepDims ?? false;
  const y = run('sum', { x, axes, keepDims, mean }).y as Tensor;
  const { shape } = x;
  return record(op, y, [x], [], (dy) => [run('sumBackward', { dy, shape, axes, keepDims, mean }).dx]);
}

/**
 * Sum over axes, added up in f32, always in the same order.
 * @param x - `[...]`, f32, bf16 or f16.
 * @param axes - to sum over, negative ones count from the last; none means all.
 * @returns `x` without `axes`, its dtype; differentiable in it.
 * @throws ArgumentError when an axis is not one of `x`, or named twice.
 */
export function sum(x: Tensor, axes: readonly number[] = [], options: SumOptions = {}): Tensor {
  return reduce('sum', x, axes, options, false);
}

/** As {@link sum}, divided in f32 by the number of summed elements. */
export function mean(x: Tensor, axes: readonly number[] = [], options: SumOptions = {}): Tensor {
  return reduce('mean', x, axes, options, true);
}

/** The gradient of what was broadcast from `shape`: `dy` summed over the axes along which it was repeated. */
export function sumTo(dy: Tensor, shape: readonly number[]): Tensor {
  const missing = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((size, axis) => (axis < missing || shape[axis - missing] !== size ? [axis] : []));
  if (axes.length === 0) return guarded(() => native.alias(dy, shape));
  const summed = run('sum', { x: dy, axes }).y as Tensor;
  const y = guarded(() => native.alias(summed, shape));
  summed.dispose();
  return y;
}
