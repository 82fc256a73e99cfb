import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Masks as bits, 8 pixels a byte, 32 times smaller than f32 logits: bit `k` of byte `b` of a row is pixel `8 b + k`. Each row is
 * padded with zeros to a multiple of 64 bits.
 * @param masks - `[..., height, width]`, u8 pixels or logits in f32, bf16 or f16.
 * @param threshold - a pixel is set where its value is above; default 0.
 * @returns `[..., height, 8 ceil(width / 64)]`, u8; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function packBits(masks: Tensor, threshold?: number): Tensor {
  return run('packBits', { masks, threshold }).bits as Tensor;
}
