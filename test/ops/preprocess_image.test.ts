// Parity with Pillow: test/image/preprocess.test.ts.
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type PreprocessImageOptions, preprocessImage, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { countOf, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { asTheyAre, channelsLast } from '../support/resized_bytes';

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

type Shape = [height: number, width: number, channels: number];

function photograph(shape: Shape, seed: number): { pixels: Uint8Array; image: Tensor } {
  const next = uniform(seed);
  const pixels = Uint8Array.from({ length: countOf(shape) }, () => next() * 256);
  return { pixels, image: tensor(pixels, shape) };
}

/** The whole picture, resized, channels last. */
function resized(pixels: Uint8Array, [inHeight, inWidth, channels]: Shape, height: number, width: number, filter: Filter): Uint8Array {
  const rows = inWidth === width ? pixels : pass(pixels, inHeight, inWidth, width, channels, filter);
  return inHeight === height ? rows : pass(rows, 1, inHeight, height, width * channels, filter);
}

onEveryDevice('preprocessImage', () => {
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
    ] as [Shape, number, number][])
      test(`resizes by the definition, ${filter} [${shape}] to [${height}, ${width}]`, async () => {
        const { pixels, image } = photograph(shape, 1);
        const y = preprocessImage(image, { resized: [height, width], filter, height, width, ...asTheyAre(shape[2]) });
        assert.deepEqual([...y.shape], [1, shape[2], height, width]);
        assert.deepEqual(await channelsLast(y), resized(pixels, shape, height, width, filter));
      });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, size, part] of [
      [[40, 61, 3], [17, 9], { top: 0, left: 0, height: 20, width: 31 }],
      [[9, 14, 3], [30, 51], { top: 11, left: 3, height: 8, width: 40 }],
      [[13, 40, 1], [13, 17], { top: 2, left: 16, height: 20, width: 5 }],
      [[40, 13, 4], [17, 13], { top: 16, left: 1, height: 3, width: 2 }],
      [[12, 9, 2], [12, 9], { top: 12, left: 0, height: 2, width: 3 }],
      [[130, 257, 3], [128, 256], { top: 0, left: 0, height: 128, width: 256 }],
    ] as [Shape, [number, number], { top: number; left: number; height: number; width: number }][])
      test(`cuts, pads and normalises in ${dtype}: [${shape}] to [${size}], from ${Object.values(part)}`, async () => {
        const { pixels, image } = photograph(shape, 2);
        const channels = shape[2];
        const [mean, std, rescale] = [[0.4, 0.5, 0.3, 0.1].slice(0, channels), [0.2, 0.25, 0.3, 0.7].slice(0, channels), 1 / 255];
        const y = preprocessImage(image, { resized: size, filter: 'bicubic', ...part, mean, std, rescale, dtype });
        const whole = resized(pixels, shape, ...size, 'bicubic');
        const expected = Float32Array.from({ length: y.count }, (_, i) => {
          const [channel, row, column] = [
            Math.floor(i / (part.height * part.width)),
            Math.floor(i / part.width) % part.height,
            i % part.width,
          ];
          if (part.top + row >= size[0] || part.left + column >= size[1]) return 0;
          const pixel = whole[((part.top + row) * size[1] + part.left + column) * channels + channel] as number;
          return (pixel * rescale - (mean[channel] as number)) / (std[channel] as number);
        });
        assert.deepEqual([y.dtype, y.shape], [dtype, [1, channels, part.height, part.width]]);
        await expectClose(y, expected, { terms: 1 });
      });

  test('a part of what would be too long is computed alone', async () => {
    const image = tensor(new Uint8Array(300).fill(7), [1, 100, 3]);
    const part = { top: 2 ** 20, left: 2 ** 30, height: 2, width: 3 };
    const y = preprocessImage(image, { resized: [2 ** 21, 2 ** 31], filter: 'bicubic', ...part, ...asTheyAre(3) });
    assert.deepEqual([...(await y.read())], new Array(18).fill(7));
  });

  test('a mean of equal pixels is that pixel, overshoot is cut', async () => {
    const all = { height: 31, width: 47, filter: 'bicubic', ...asTheyAre(3) } as const;
    const white = preprocessImage(tensor(new Uint8Array(90 * 80 * 3).fill(255), [90, 80, 3]), { resized: [31, 47], ...all });
    assert.ok((await white.read()).every((value) => value === 255));
    const edge = tensor([0, 0, 255, 255], [1, 4, 1], 'u8');
    const y = preprocessImage(edge, { resized: [1, 16], filter: 'bicubic', height: 1, width: 16, ...asTheyAre(1) });
    const values = await y.read();
    assert.deepEqual([values[0], values[15]], [0, 255]);
  });

  test('gives no pixels, takes none for none, and pads beside none', async () => {
    const of = (shape: Shape, size: [number, number], height: number, width: number, left = 0) =>
      preprocessImage(tensor(new Uint8Array(countOf(shape)).fill(9), shape), { resized: size, left, height, width, ...asTheyAre(1) });
    assert.deepEqual(of([1, 1, 1], [1, 3], 0, 3).shape, [1, 1, 0, 3]);
    assert.deepEqual(of([0, 1, 1], [3, 3], 3, 0).shape, [1, 1, 3, 0]);
    for (const y of [of([1, 1, 1], [0, 3], 2, 3), of([0, 0, 1], [0, 0], 2, 3), of([2, 2, 1], [2, 2], 2, 3, 2)])
      assert.deepEqual([...(await y.read())], [0, 0, 0, 0, 0, 0]);
  });

  test('names what does not fit', () => {
    const image = tensor([1, 2], [1, 1, 2], 'u8');
    const fits: PreprocessImageOptions = { resized: [1, 1], mean: [0, 0], std: [1, 1], height: 1, width: 1 };
    const refuses = (changes: object, name: string, message: string, given = image) =>
      assert.throws(() => preprocessImage(given, { ...fits, ...changes }), { name, message: `preprocessImage: ${message}` });
    const pixels = (shape: number[]) => tensor(new Uint8Array(countOf(shape)), shape);
    refuses({}, 'DtypeError', 'image is f32, expected u8', tensor([1], [1, 1, 1]));
    refuses({}, 'ShapeError', 'image is [1, 1], expected [height, width, channels]', pixels([1, 1]));
    refuses({}, 'ShapeError', 'image is [1, 1, 0], expected 1 to 4 channels', pixels([1, 1, 0]));
    refuses({}, 'ShapeError', 'image is [1, 0, 2], expected at least one pixel', pixels([1, 0, 2]));
    const long = 'image is [0, 16777217, 1], expected at most 2^24 pixels along an axis';
    refuses({}, 'ShapeError', long, pixels([0, 2 ** 24 + 1, 1]));
    refuses({ resized: [-1, 1] }, 'ArgumentError', 'resizedHeight is -1, expected 0 to 2^32');
    refuses({ resized: [1, 2 ** 33] }, 'ArgumentError', 'resizedWidth is 8589934592, expected 0 to 2^32');
    refuses({ top: 2 }, 'ArgumentError', 'top is 2, expected 0 to 1');
    refuses({ left: -1 }, 'ArgumentError', 'left is -1, expected 0 to 1');
    refuses({ height: -1 }, 'ArgumentError', 'height is -1, expected 0 to 2^24');
    refuses({ width: 2 ** 25 }, 'ArgumentError', 'width is 33554432, expected 0 to 2^24');
    refuses({ mean: [1] }, 'ArgumentError', 'mean is 1 numbers, expected 2, the channels of image');
    refuses({ mean: [1, Number.NaN] }, 'ArgumentError', 'mean[1] is nan, expected a finite number');
    refuses({ std: [0, 1] }, 'ArgumentError', 'std[0] is 0, expected a finite number above 0');
    refuses({ rescale: Number.POSITIVE_INFINITY }, 'ArgumentError', 'rescale is inf, expected a finite number');
    refuses({ dtype: 'u8' }, 'DtypeError', 'dtype is u8, expected f32, bf16 or f16');
    refuses({ filter: 'lanczos' }, 'ArgumentError', 'filter is "lanczos", expected one of "bilinear", "bicubic"');
  });
});
