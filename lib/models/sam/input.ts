/**
 * A picture as Segment Anything takes it: the longer side resized to the size of the input with Pillow's bilinear filter,
 * normalised, then followed by zeros on the right or below. Kirillov et al. 2023, https://arxiv.org/abs/2304.02643.
 */
import type { RgbImage } from '../../image/decode';
import type { Dtype } from '../../native';
import { preprocessImage } from '../../ops/preprocess_image';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { asImageTensor } from '../image_tensor';
import type { SamConfig } from './config';

/** Where a picture lies in the square input, in its upper left corner; masks of it come back the same way. In pixels. */
export interface Placement {
  /** Of the part of the input that is picture. */
  readonly resized: readonly [height: number, width: number];
  /** Of the picture itself. */
  readonly original: readonly [height: number, width: number];
}

/** The placement of a picture of `height` x `width` in an input with sides of `imageSize`. */
export function placementOf(height: number, width: number, imageSize: number): Placement {
  const scale = imageSize / Math.max(height, width);
  // A picture of one row may shrink to none: it keeps one.
  const resized = (side: number) => Math.max(1, Math.floor(side * scale + 0.5));
  return { resized: [resized(height), resized(width)], original: [height, width] };
}

/**
 * @param image - a picture, or {@link imageTensor} of one.
 * @param dtype - of the result: f32, bf16 or f16.
 * @returns `pixels` `[1, 3, imageSize, imageSize]`.
 * @throws ArgumentError for what is no picture.
 */
export function samInput(
  image: RgbImage | Tensor,
  config: Pick<SamConfig, 'imageSize' | 'pixelMean' | 'pixelStd'>,
  dtype: Dtype = 'f32',
): { pixels: Tensor; placement: Placement } {
  return tidy(() => {
    const source = asImageTensor(image);
    const [height, width] = source.shape as [number, number, number];
    const size = config.imageSize;
    const placement = placementOf(height, width, size);
    const pixels = preprocessImage(source, {
      resized: placement.resized,
      height: size,
      width: size,
      mean: config.pixelMean,
      std: config.pixelStd,
      dtype,
    });
    return { pixels, placement };
  });
}
