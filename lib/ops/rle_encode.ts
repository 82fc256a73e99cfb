import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface RleEncodeOptions {
  /** Runs stored a mask. */
  maxRuns: number;
  /** Width in pixels of masks that are bits ({@link packBits}); without it masks are bytes. */
  bitWidth?: number;
}

/**
 * Run lengths of masks as COCO counts them: down the columns, the first run is of zeros and may be 0 long. See
 * {@link encodeMasks} for compressed strings.
 * @param masks - `[n, height, width]`, u8, set where not 0; or bits.
 * @returns `runs` `[n, maxRuns]`, i32, filled up with 0; `counts` `[n]`, i32, the runs each mask has, of which only the first
 *   `maxRuns` are stored. No gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function rleEncode(masks: Tensor, options: RleEncodeOptions): { runs: Tensor; counts: Tensor } {
  const { maxRuns, bitWidth } = options ?? {};
  const { runs, counts } = run('rleEncode', { masks, maxRuns, bitWidth });
  return { runs: runs as Tensor, counts: counts as Tensor };
}
