/**
 * A picture as CLIP takes it, as CLIPImageProcessor makes it: the shorter side resized with Pillow's bicubic filter, the middle
 * cut out. What lies outside the middle square is not seen, unless the picture is padded to a square before, as LLaVA-1.5 does
 * (Liu et al. 2023, arXiv 2310.03744). Radford et al. 2021, https://arxiv.org/abs/2103.00020.
 */
import { ArgumentError } from '../../errors';
import type { RgbImage } from '../../image/decode';
import type { Dtype } from '../../native';
import { concat } from '../../ops/concat';
import { copyInto } from '../../ops/copy_into';
import { zeros } from '../../ops/fill';
import { gatherRows } from '../../ops/gather_rows';
import { preprocessImage } from '../../ops/preprocess_image';
import { reshape } from '../../ops/reshape';
import { rowsView } from '../../ops/rows_view';
import { empty, tensor } from '../../tensor/create';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { asImageTensor } from '../image_tensor';
import type { ClipConfig } from './config';

/**
 * @param image - a picture, or {@link imageTensor} of one.
 * @param dtype - of the result: f32, bf16 or f16.
 * @returns `[1, 3, imageSize, imageSize]`.
 * @throws ArgumentError for what is no picture, or would have to be padded to a square that no memory holds.
 */
export function clipInput(
  image: RgbImage | Tensor,
  config: Pick<ClipConfig, 'imageSize' | 'pixelScale' | 'pixelMean' | 'pixelStd' | 'padToSquare'>,
  dtype: Dtype = 'f32',
): Tensor {
  return tidy(() => {
    const source = config.padToSquare ? squareOf(asImageTensor(image), config.pixelMean) : asImageTensor(image);
    const [height, width] = source.shape as [number, number, number];
    const size = config.imageSize;
    const short = Math.min(height, width);
    const [resizedHeight, resizedWidth] = [height, width].map((side) => Math.trunc((size * side) / short)) as [number, number];
    // The middle is cut as it is resized: of a long picture the whole would be millions of pixels wide.
    return preprocessImage(source, {
      resized: [resizedHeight, resizedWidth],
      filter: 'bicubic',
      top: Math.floor((resizedHeight - size) / 2),
      left: Math.floor((resizedWidth - size) / 2),
      height: size,
      width: size,
      rescale: config.pixelScale,
      mean: config.pixelMean,
      std: config.pixelStd,
      dtype,
    });
  });
}

/** What pictures of 100 million pixels in a usual format have; a square of it takes 600 MB. */
const longestSide = 14_000;
/** Rows of a high picture that are padded at once. */
const bandRows = 256;

/** `[side, side, 3]`: the picture in the middle of its mean colour. */
function squareOf(image: Tensor, mean: readonly number[]): Tensor {
  const [height, width] = image.shape as [number, number, number];
  const side = Math.max(height, width);
  if (side > longestSide)
    throw new ArgumentError(
      `image: it is ${width} x ${height}, and this model pads to a square; expected sides of at most ${longestSide} pixels`,
    );
  const missing = side - Math.min(height, width);
  if (missing === 0) return image;
  const colour = tensor(
    mean.map((channel) => Math.trunc(channel * 255)),
    [1, 3],
    'u8',
  );
  const repeat = (row: Tensor, times: number) => gatherRows(reshape(row, [1, row.count]), zeros([times], 'i32'));
  const filled = (rows: number, columns: number) => reshape(repeat(repeat(colour, columns), rows), [rows, columns, 3]);
  const before = Math.floor(missing / 2);
  // In place: beside the square there is no second one, or most of it, at any time.
  const square = height < width ? filled(side, side) : empty([side, side, 3], 'u8');
  if (height < width) copyInto(image, rowsView(square, before, before + height));
  for (let begin = 0; height > width && begin < side; begin += bandRows) {
    tidy(() => {
      const end = Math.min(begin + bandRows, side);
      const [left, right] = [filled(end - begin, before), filled(end - begin, missing - before)];
      copyInto(concat([left, rowsView(image, begin, end), right], 1), rowsView(square, begin, end));
    });
  }
  return square;
}
