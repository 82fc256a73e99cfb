import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import sharp from 'sharp';
import { maskPng } from '../../lib';
import { uniform } from '../support/data';

describe('maskPng', () => {
  for (const [width, height] of [
    [1, 1],
    [7, 3],
    [8, 2],
    [65, 4],
    [2000, 2001],
  ] as const)
    test(`writes ${width} x ${height} that others read`, async () => {
      const [stride, next] = [8 * Math.ceil(width / 64), uniform(width)];
      const pixels = Uint8Array.from({ length: width * height }, () => (next() < 0.4 ? 255 : 0));
      const bits = new Uint8Array(stride * height);
      for (let i = 0; i < pixels.length; i++)
        if (pixels[i]) bits[Math.floor(i / width) * stride + ((i % width) >> 3)]! |= 1 << ((i % width) & 7);
      const file = await maskPng(bits, width, height);
      const metadata = await sharp(file).metadata();
      assert.deepEqual([metadata.format, metadata.width, metadata.height, metadata.channels], ['png', width, height, 1]);
      const { data, info } = await sharp(file).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
      assert.equal(info.channels, 1);
      assert.equal(Buffer.compare(data, pixels), 0);
    });

  test('refuses bits of another size', async () => {
    const refuses = (bits: unknown, width: number, height: number, message: string) =>
      assert.rejects(maskPng(bits as Uint8Array, width, height), { name: 'ArgumentError', message: `maskPng: ${message}` });
    await refuses(new Uint8Array(8), 9, 2, 'bits has 8 bytes, expected 16, 2 rows of 8');
    await refuses(undefined, 9, 2, 'bits has undefined bytes, expected 16, 2 rows of 8');
    await refuses(new Uint8Array(8), 0, 2, 'width is 0, expected a whole number of pixels, 1 or more');
    await refuses(new Uint8Array(8), 2, 0.5, 'height is 0.5, expected a whole number of pixels, 1 or more');
  });
});
