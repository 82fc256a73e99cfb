import { run } from '../autograd/call';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

/**
 * A tensor of `shape` with `value` everywhere.
 * @param value - any number for a floating dtype, an integer in range for i32 and u8.
 * @throws ArgumentError, ShapeError.
 */
export function full(shape: readonly number[], value: number, dtype: Dtype = 'f32'): Tensor {
  return run('fill', { shape, dtype, value }).y as Tensor;
}

/** A tensor of `shape` filled with 0. */
export function zeros(shape: readonly number[], dtype: Dtype = 'f32'): Tensor {
  return full(shape, 0, dtype);
}

/** A tensor of `shape` filled with 1. */
export function ones(shape: readonly number[], dtype: Dtype = 'f32'): Tensor {
  return full(shape, 1, dtype);
}
