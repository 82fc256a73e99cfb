/** The goldens of preprocessing: MGLMM_GOLDEN/image. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor } from '../../lib';
import { assertWithin } from './close';
import { goldenFolder, readSafetensors } from './golden';

interface Sums {
  channel_sum: number[];
  channel_sum_of_squares: number[];
}
interface Clip extends Sums {
  crop: number;
  resized: [number, number];
  crop_top_left: [number, number];
}
interface Sam extends Sums {
  side: number;
  resized: [number, number];
}
interface Tolerance {
  atol: number;
  rtol: number;
}
type Rgb = [number, number, number];
interface Config {
  images: { name: string; height: number; width: number; sha256_rgb: string; clip: Clip; sam: Sam[] }[];
  clip: { mean: Rgb; std: Rgb; rescale: number; resample: 'bilinear' | 'bicubic' };
  sam: { mean: Rgb; std: Rgb; resample: 'bilinear' | 'bicubic' };
  tolerance: { float: Tolerance; channel_sum: Tolerance };
}

const folder = join(goldenFolder, 'image');

export const imageGoldens = {
  config: JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Config,
  stored: readSafetensors(join(folder, 'expected.safetensors')),
  /** The path of a picture. */
  file: (name: string) => join(folder, 'images', `${name}.png`),
};

/** Compares `[..., channels, height, width]` with the stored tensor, where there is one, and with its sums. */
export async function compareInput(name: string, actual: Tensor, { channel_sum, channel_sum_of_squares }: Sums): Promise<void> {
  const { float, channel_sum: sumTolerance } = imageGoldens.config.tolerance;
  const values = await actual.read();
  const [channels, height, width] = actual.shape.slice(-3) as [number, number, number];
  const within =
    ({ atol, rtol }: Tolerance) =>
    (wanted: number) =>
      atol + rtol * Math.abs(wanted);
  const expected = imageGoldens.stored.get(name);
  if (expected) assertWithin(values, expected.values, within(float), actual, name);
  const [sums, squares] = [new Array<number>(channels).fill(0), new Array<number>(channels).fill(0)];
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / (height * width));
    sums[channel]! += values[i] as number;
    squares[channel]! += (values[i] as number) ** 2;
  }
  const shape = { shape: [channels], dtype: actual.dtype };
  assertWithin(sums, channel_sum, within(sumTolerance), shape, `${name}: sum`);
  assertWithin(squares, channel_sum_of_squares, within(sumTolerance), shape, `${name}: sum of squares`);
}
