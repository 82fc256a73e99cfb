import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface RleDecodeOptions {
  /** Of every mask, in pixels. */
  height: number;
  width: number;
  /** True: masks as bits, the layout of {@link packBits}. */
  bits?: boolean;
}

/**
 * Masks from their run lengths, as {@link rleEncode} counts them.
 * @param runs - `[total]`, i32, the runs of all masks one after the other.
 * @param counts - `[n]`, i32, runs of each mask.
 * @returns `[n, height, width]`, u8, 0 or 1; or bits. No gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit; ArgumentError, when the result is read, for runs that
 *   do not cover the image.
 */
export function rleDecode(runs: Tensor, counts: Tensor, options: RleDecodeOptions): Tensor {
  const { height, width, bits } = options ?? {};
  return run('rleDecode', { runs, counts, height, width, bits }).masks as Tensor;
}
