import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * The elements of `x` in memory of their own.
 * @param x - `[...]`, any dtype.
 * @returns Shape and dtype of `x`; differentiable in it.
 */
export function copy(x: Tensor): Tensor {
  return record('copy', run('copy', { x }).y as Tensor, [x], [], (dy) => [dy]);
}
