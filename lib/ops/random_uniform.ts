import { run } from '../autograd/call';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface RandomUniformOptions {
  /** Same seed, same numbers, on every device. At least 0. */
  seed: number;
  /** Place of the first element in the seed's sequence. Default 0. */
  offset?: number;
  /** Default 0. */
  low?: number;
  /** Default 1. */
  high?: number;
  /** Floating; rounded from f32, which can reach `high`. Default f32. */
  dtype?: Dtype;
}

/**
 * Uniform random numbers from `low` up to `high`. Element `i` depends on `seed` and `offset + i` alone: the top 24 bits of a
 * word of Philox 4x32-10, the same on every backend.
 * @throws ShapeError, ArgumentError.
 * @see Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3
 */
export function randomUniform(shape: readonly number[], options: RandomUniformOptions): Tensor {
  const { seed, offset = 0, low = 0, high = 1, dtype = 'f32' } = options ?? ({} as RandomUniformOptions);
  return run('randomUniform', { shape, dtype, seed: seed ?? null, offset, low, high }).y as Tensor;
}
