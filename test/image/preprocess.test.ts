/** Parity with Pillow and the image processors of CLIP and SAM: every image of MGLMM_GOLDEN/image. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { normalizeImage, resizeImage, type Tensor, tensor } from '../../lib';
import { assertWithin } from '../support/close';
import { onEveryDevice } from '../support/devices';
import { goldenFolder, readSafetensors } from '../support/golden';
import { decodePng, encodePng } from '../support/png';

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
interface Config {
  images: { name: string; height: number; width: number; sha256_rgb: string; clip: Clip; sam: Sam[] }[];
  clip: { mean: number[]; std: number[]; rescale: number; resample: 'bilinear' | 'bicubic' };
  sam: { mean: number[]; std: number[]; resample: 'bilinear' | 'bicubic' };
  tolerance: { float: Tolerance; channel_sum: Tolerance };
}
interface Tolerance {
  atol: number;
  rtol: number;
}

const folder = join(goldenFolder, 'image');
const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Config;
const stored = readSafetensors(join(folder, 'expected.safetensors'));

async function compare(name: string, actual: Tensor, { channel_sum, channel_sum_of_squares }: Sums): Promise<void> {
  const values = await actual.read();
  const [channels, height, width] = actual.shape as [number, number, number];
  const within =
    ({ atol, rtol }: Tolerance) =>
    (wanted: number) =>
      atol + rtol * Math.abs(wanted);
  const expected = stored.get(name);
  if (expected) assertWithin(values, expected.values, within(config.tolerance.float), actual, name);
  const [sums, squares] = [new Array<number>(channels).fill(0), new Array<number>(channels).fill(0)];
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / (height * width));
    sums[channel]! += values[i] as number;
    squares[channel]! += (values[i] as number) ** 2;
  }
  const shape = { shape: [channels], dtype: actual.dtype };
  assertWithin(sums, channel_sum, within(config.tolerance.channel_sum), shape, `${name}: sum`);
  assertWithin(squares, channel_sum_of_squares, within(config.tolerance.channel_sum), shape, `${name}: sum of squares`);
}

onEveryDevice('image preprocessing', () => {
  test('there are images', () => expect(config.images.length).toBeGreaterThan(0));

  for (const { name, height, width, sha256_rgb, clip, sam } of config.images) {
    const image = () => {
      const file = decodePng(readFileSync(join(folder, 'images', `${name}.png`)));
      assert.deepEqual([file.height, file.width], [height, width]);
      assert.equal(createHash('sha256').update(file.pixels).digest('hex'), sha256_rgb);
      assert.deepEqual(decodePng(encodePng(file)), file);
      return tensor(file.pixels, [height, width, 3]);
    };

    test(`${name} for CLIP`, async () => {
      const resized = resizeImage(image(), ...clip.resized, config.clip.resample);
      const pixels = await resized.read();
      const [top, left] = clip.crop_top_left;
      const cropped = Uint8Array.from({ length: clip.crop ** 2 * 3 }, (_, i) => {
        const [row, column] = [Math.floor(i / (3 * clip.crop)), Math.floor(i / 3) % clip.crop];
        return pixels[((top + row) * clip.resized[1] + left + column) * 3 + (i % 3)] as number;
      });
      assert.deepEqual(cropped, stored.get(`${name}.clip_uint8`)?.values);
      const { mean, std, rescale } = config.clip;
      await compare(`${name}.clip`, normalizeImage(resized, { mean, std, rescale, top, left, height: clip.crop, width: clip.crop }), clip);
    });

    for (const one of sam)
      test(`${name} for SAM at ${one.side}`, async () => {
        const resized = resizeImage(image(), ...one.resized, config.sam.resample);
        const expected = stored.get(`${name}.sam${one.side}_uint8`);
        if (expected) assert.deepEqual(await resized.read(), expected.values);
        const { mean, std } = config.sam;
        await compare(`${name}.sam${one.side}`, normalizeImage(resized, { mean, std, height: one.side, width: one.side }), one);
      });
  }
});
