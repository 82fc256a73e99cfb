/**
 * A picture as CLIP takes it, as CLIPImageProcessor makes it: the shorter side resized with Pillow's bicubic filter, the middle
 * cut out. What lies outside the middle square is not seen. Radford et al. 2021, https://arxiv.org/abs/2103.00020.
 */
import type { RgbImage } from '../../image/decode';
import type { Dtype } from '../../native';
import { normalizeImage } from '../../ops/normalize_image';
import { reshape } from '../../ops/reshape';
import { resizeImage } from '../../ops/resize_image';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { asImageTensor } from '../image_tensor';
import type { ClipConfig } from './config';

/**
 * @param image - a picture, or {@link imageTensor} of one.
 * @param dtype - of the result: f32, bf16 or f16.
 * @returns `[1, 3, imageSize, imageSize]`.
 * @throws ArgumentError for what is no picture.
 */
export function clipInput(
  image: RgbImage | Tensor,
  config: Pick<ClipConfig, 'imageSize' | 'pixelScale' | 'pixelMean' | 'pixelStd'>,
  dtype: Dtype = 'f32',
): Tensor {
  return tidy(() => {
    const source = asImageTensor(image);
    const [height, width] = source.shape as [number, number, number];
    const size = config.imageSize;
    const short = Math.min(height, width);
    const [resizedHeight, resizedWidth] = [height, width].map((side) => Math.trunc((size * side) / short)) as [number, number];
    // The crop is cut as it is resized: of a long picture the whole would be millions of pixels wide.
    const middle = {
      top: Math.floor((resizedHeight - size) / 2),
      left: Math.floor((resizedWidth - size) / 2),
      height: size,
      width: size,
    };
    const pixels = normalizeImage(resizeImage(source, resizedHeight, resizedWidth, 'bicubic', middle), {
      rescale: config.pixelScale,
      mean: config.pixelMean,
      std: config.pixelStd,
      height: size,
      width: size,
      dtype,
    });
    return reshape(pixels, [1, 3, size, size]);
  });
}
