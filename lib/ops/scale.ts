import { record, run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * `x * factor + shift`, elementwise.
 * @param x - `[...]`, f32, bf16 or f16.
 * @returns Shape and dtype of `x`; differentiable in it.
 * @throws ArgumentError when a number is not finite.
 */
export function scale(x: Tensor, factor: number, shift = 0): Tensor {
  const y = run('scale', { x, factor, shift }).y as Tensor;
  return record('scale', y, [x], [], (dy) => [run('scale', { x: dy, factor }).y]);
}
