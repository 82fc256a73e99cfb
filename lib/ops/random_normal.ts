import { run } from '../autograd/call';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface RandomNormalOptions {
  /** Same seed, same numbers, on every device. At least 0. */
  seed: number;
  /** Place of the first element in the seed's sequence. Default 0. */
  offset?: number;
  /** Default 0. */
  mean?: number;
  /** Default 1. */
  std?: number;
  /** Floating; rounded from f32. Default f32. */
  dtype?: Dtype;
}

/**
 * Normal random numbers. Element `i` depends on `seed` and `offset + i` alone: Philox 4x32-10 and Box-Muller, as
 * kernels/philox.h has them, to the last bit on every backend.
 * @throws ShapeError, ArgumentError.
 * @see Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3
 */
export function randomNormal(shape: readonly number[], options: RandomNormalOptions): Tensor {
  const { seed, offset = 0, mean = 0, std = 1, dtype = 'f32' } = options ?? ({} as RandomNormalOptions);
  return run('randomNormal', { shape, dtype, seed: seed ?? null, offset, mean, std }).y as Tensor;
}
