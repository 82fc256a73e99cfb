/** Decoded pictures on the device. */
import { ArgumentError } from '../errors';
import { expectRgbImage, type RgbImage } from '../image/decode';
import { enqueueUpload } from '../tensor/create';
import { Tensor } from '../tensor/tensor';

/**
 * A picture as a tensor `[height, width, 3]`, u8: given to several models, it is copied once. The copy is made off JavaScript's
 * thread; until the first result has been read, `image.data` must not be changed.
 * @throws ArgumentError for what is no picture.
 */
export function imageTensor(image: RgbImage): Tensor {
  expectRgbImage(image);
  return enqueueUpload(image.data, [image.height, image.width, 3]);
}

/** `image` itself when it is a tensor of a picture, else {@link imageTensor} of it. */
export function asImageTensor(image: RgbImage | Tensor): Tensor {
  if (!(image instanceof Tensor)) return imageTensor(image);
  const { shape, dtype } = image;
  if (shape.length !== 3 || shape[2] !== 3 || shape.includes(0) || dtype !== 'u8') {
    throw new ArgumentError(`image: the tensor is ${dtype} [${shape.join(', ')}], expected u8 [height, width, 3]`);
  }
  return image;
}
