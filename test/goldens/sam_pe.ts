import { fourierEncoding, permute, type Tensor, tensor } from '../../lib';
import type { Golden } from '../support/golden';

/** The centres of the pixels of a grid, as shares of its width and height. */
function centres([height, width]: readonly [number, number]): Tensor {
  const points = Float32Array.from({ length: height * width * 2 }, (_, i) => {
    const pixel = Math.floor(i / 2);
    return i % 2 === 0 ? ((pixel % width) + 0.5) / width : (Math.floor(pixel / width) + 0.5) / height;
  });
  return tensor(points, [height, width, 2]);
}

export const golden: Golden = async ({ gaussian, points }, { grid, image }) => {
  const [height, width] = image as [number, number];
  const shares = (await points!.read()).map((value, i) => value / (i % 2 === 0 ? width : height));
  return {
    dense: permute(fourierEncoding(centres(grid as [number, number]), gaussian!), [2, 0, 1]),
    coords: fourierEncoding(tensor(shares, points!.shape), gaussian!),
  };
};
