// Parity with Pillow: test/image/preprocess.test.ts.
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { resizeImage, tensor } from '../../lib';
import { countOf, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

type Filter = 'bilinear' | 'bicubic';

function weightAt(filter: Filter, at: number): number {
  const x = Math.abs(at);
  if (filter === 'bilinear') return Math.max(1 - x, 0);
  if (x < 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

/** One axis of `[outer, in, inner]`, by whole multiples of 2^-22 as the contract says; float64 holds these sums exactly. */
function pass(pixels: ArrayLike<number>, outer: number, from: number, to: number, inner: number, filter: Filter): Uint8Array {
  const scale = from / to;
  const widened = Math.max(scale, 1);
  const support = (filter === 'bilinear' ? 1 : 2) * widened;
  const result = new Uint8Array(outer * to * inner);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), from);
    const weights = Array.from({ length: end - first }, (_, k) => weightAt(filter, (first + k - centre + 0.5) / widened));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const whole = weights.map((weight) => Math.sign(weight) * Math.floor((Math.abs(weight) / total) * 2 ** 22 + 0.5));
    for (let o = 0; o < outer; o++)
      for (let c = 0; c < inner; c++) {
        let sum = 2 ** 21;
        for (const [k, weight] of whole.entries()) sum += weight * (pixels[(o * from + first + k) * inner + c] as number);
        result[(o * to + i) * inner + c] = Math.min(Math.max(Math.floor(sum / 2 ** 22), 0), 255);
      }
  }
  return result;
}

onEveryDevice('resizeImage', () => {
  for (const filter of ['bilinear', 'bicubic'] as const)
    for (const [shape, height, width] of [
      [[5, 7, 3], 11, 13],
      [[40, 61, 3], 17, 9],
      [[33, 21, 1], 8, 40],
      [[12, 19, 2], 30, 5],
      [[23, 18, 4], 7, 18],
      [[9, 31, 3], 9, 8],
      [[1, 1, 3], 4, 3],
      [[300, 200, 3], 1, 1],
      [[6, 5, 3], 6, 5],
    ] as [[number, number, number], number, number][])
      test(`follows the definition, ${filter} [${shape}] to [${height}, ${width}]`, async () => {
        const next = uniform(1);
        const pixels = Uint8Array.from({ length: countOf(shape) }, () => next() * 256);
        const y = resizeImage(tensor(pixels, shape), height, width, filter);
        const [inHeight, inWidth, channels] = shape;
        assert.deepEqual([...y.shape], [height, width, channels]);
        const rows = inWidth === width ? pixels : pass(pixels, inHeight, inWidth, width, channels, filter);
        const expected = inHeight === height ? rows : pass(rows, 1, inHeight, height, width * channels, filter);
        assert.deepEqual(await y.read(), expected);
      });

  for (const filter of ['bilinear', 'bicubic'] as const)
    for (const [shape, height, width] of [
      [[40, 61, 3], 17, 9],
      [[9, 14, 3], 30, 51],
      [[13, 40, 1], 13, 17],
      [[40, 13, 4], 17, 13],
      [[12, 9, 2], 12, 9],
    ] as [[number, number, number], number, number][])
      test(`a crop is cut from the whole, ${filter} [${shape}] to [${height}, ${width}]`, async () => {
        const next = uniform(8);
        const image = tensor(
          Uint8Array.from({ length: countOf(shape) }, () => next() * 256),
          shape,
        );
        const whole = await resizeImage(image, height, width, filter).read();
        const channels = shape[2];
        for (let round = 0; round < 12; round++) {
          const [top, left] = [Math.floor(next() * height), Math.floor(next() * width)];
          const crop = { top, left, height: Math.floor(next() * (height - top + 1)), width: Math.floor(next() * (width - left + 1)) };
          const cut = resizeImage(image, height, width, filter, crop);
          assert.deepEqual([...cut.shape], [crop.height, crop.width, channels]);
          const values = await cut.read();
          for (let y = 0; y < crop.height; y++) {
            const begin = ((top + y) * width + left) * channels;
            assert.deepEqual(
              values.subarray(y * crop.width * channels, (y + 1) * crop.width * channels),
              whole.subarray(begin, begin + crop.width * channels),
            );
          }
        }
      });

  test('a crop of what would be too long is computed alone', async () => {
    const image = tensor(new Uint8Array(300).fill(7), [1, 100, 3]);
    const crop = { top: 2 ** 20, left: 2 ** 30, height: 2, width: 3 };
    const cut = await resizeImage(image, 2 ** 21, 2 ** 31, 'bicubic', crop).read();
    assert.deepEqual([...cut], new Array(18).fill(7));
  });

  test('a mean of equal pixels is that pixel, overshoot is cut', async () => {
    const white = resizeImage(tensor(new Uint8Array(90 * 80 * 3).fill(255), [90, 80, 3]), 31, 47, 'bicubic');
    assert.ok((await white.read()).every((value) => value === 255));
    const edge = tensor([0, 0, 255, 255], [1, 4, 1], 'u8');
    const values = await resizeImage(edge, 1, 16, 'bicubic').read();
    assert.deepEqual([values[0], values[15]], [0, 255]);
  });

  test('gives no pixels, and takes none for none', () => {
    assert.deepEqual([...resizeImage(tensor([1], [1, 1, 1], 'u8'), 0, 3).shape], [0, 3, 1]);
    assert.deepEqual([...resizeImage(tensor([], [0, 1, 1], 'u8'), 3, 0).shape], [3, 0, 1]);
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) =>
      assert.throws(call, { name, message: `resizeImage: ${message}` });
    const image = tensor([1], [1, 1, 1], 'u8');
    refuses(() => resizeImage(tensor([1], [1, 1, 1]), 1, 1), 'DtypeError', 'image is f32, expected u8');
    refuses(() => resizeImage(tensor([1], [1, 1], 'u8'), 1, 1), 'ShapeError', 'image is [1, 1], expected [height, width, channels]');
    refuses(() => resizeImage(tensor([], [1, 1, 0], 'u8'), 1, 1), 'ShapeError', 'image is [1, 1, 0], expected 1 to 4 channels');
    refuses(() => resizeImage(tensor([], [1, 0, 3], 'u8'), 1, 1), 'ShapeError', 'image is [1, 0, 3], expected at least one pixel');
    const long = 'image is [0, 16777217, 1], expected at most 2^24 pixels along an axis';
    refuses(() => resizeImage(tensor([], [0, 2 ** 24 + 1, 1], 'u8'), 0, 1), 'ShapeError', long);
    refuses(() => resizeImage(image, -1, 1), 'ArgumentError', 'height is -1, expected 0 to 2^24');
    refuses(() => resizeImage(image, 1, 2 ** 25), 'ArgumentError', 'width is 33554432, expected 0 to 2^24');
    const crop = { top: 0, left: 0, height: 1, width: 1 };
    const cropped =
      (change: object, size = 1) =>
      () =>
        resizeImage(image, size, size, 'bilinear', { ...crop, ...change });
    refuses(cropped({}, 2 ** 33), 'ArgumentError', 'height is 8589934592, expected 0 to 2^32');
    refuses(cropped({ top: 2 }), 'ArgumentError', 'top is 2, expected 0 to 1');
    refuses(cropped({ left: -1 }), 'ArgumentError', 'left is -1, expected 0 to 1');
    refuses(cropped({ top: 1 }), 'ArgumentError', 'cropHeight is 1, expected 0 to 0');
    refuses(cropped({ width: 2 ** 25 }, 2 ** 26), 'ArgumentError', 'cropWidth is 33554432, expected 0 to 16777216');
    refuses(
      () => resizeImage(image, 1, 1, 'lanczos' as never),
      'ArgumentError',
      'filter is "lanczos", expected one of "bilinear", "bicubic"',
    );
  });
});
