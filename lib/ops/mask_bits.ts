import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/** Where a picture lies in the input of the network that made low-resolution logits. */
export interface MaskPlacement {
  /** A side of the network's square input, in pixels. */
  inputSize: number;
  /** Of the input, from its upper left corner, what is picture; in pixels. */
  resized: readonly [height: number, width: number];
}

export interface MaskBitsOptions extends MaskPlacement {
  /** Of the picture, in pixels. */
  original: readonly [height: number, width: number];
  /** A pixel is set where its logit is above; default 0. */
  threshold?: number;
}

/**
 * Low-resolution logits to masks at the size of the picture, straight to bits: resized to the input of the network, cut to what is
 * picture, resized to the picture, both with {@link bilinear} in f32, then compared. Equals those ops bit for bit.
 * @param logits - `[..., lowHeight, lowWidth]`, f32, bf16 or f16.
 * @returns `[..., height, 8 ceil(width / 64)]`, u8, the layout of {@link packBits}; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 * @see Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function maskBits(logits: Tensor, options: MaskBitsOptions): Tensor {
  const { inputSize, resized, original, threshold } = options ?? {};
  const [resizedHeight, resizedWidth, height, width] = [resized?.[0], resized?.[1], original?.[0], original?.[1]];
  return run('maskBits', { logits, inputSize, resizedHeight, resizedWidth, height, width, threshold }).bits as Tensor;
}
