import { record, run } from '../autograd/call';
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
