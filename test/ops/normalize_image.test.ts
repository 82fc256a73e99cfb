import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type NormalizeImageOptions, normalizeImage, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { countOf, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('normalizeImage', () => {
  const [mean, std] = [
    [0.4, 0.5, 0.3],
    [0.2, 0.25, 0.3],
  ];
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, top, left, height, width] of [
      [[5, 7, 3], 0, 0, 9, 8],
      [[5, 7, 3], 1, 2, 3, 4],
      [[5, 7, 3], 5, 7, 2, 3],
      [[130, 257, 3], 2, 9, 128, 256],
      [[4, 3, 3], 0, 0, 0, 5],
      [[0, 0, 3], 0, 0, 2, 1],
    ] as [[number, number, number], number, number, number, number][])
      test(`agrees with float64 in ${dtype}, [${shape}] from [${top}, ${left}] to [${height}, ${width}]`, async () => {
        const next = uniform(1);
        const [inHeight, inWidth] = shape;
        const pixels = Uint8Array.from({ length: countOf(shape) }, () => next() * 256);
        const y = normalizeImage(tensor(pixels, shape), { mean, std, rescale: 1 / 255, top, left, height, width, dtype });
        assert.deepEqual([...y.shape], [3, height, width]);
        const expected = Float64Array.from({ length: y.count }, (_, i) => {
          const [channel, row, column] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
          if (top + row >= inHeight || left + column >= inWidth) return 0;
          const pixel = pixels[((top + row) * inWidth + left + column) * 3 + channel] as number;
          return (pixel / 255 - (mean[channel] as number)) / (std[channel] as number);
        });
        await expectClose(y, expected, { terms: 1 });
      });

  test('names what does not fit', () => {
    const image = tensor([1, 2], [1, 1, 2], 'u8');
    const fits: NormalizeImageOptions = { mean: [0, 0], std: [1, 1], height: 1, width: 1 };
    const refuses = (changes: object, name: string, message: string, given = image) =>
      assert.throws(() => normalizeImage(given, { ...fits, ...changes }), { name, message: `normalizeImage: ${message}` });
    refuses({}, 'DtypeError', 'image is f32, expected u8', tensor([1], [1, 1, 1]));
    refuses({}, 'ShapeError', 'image is [1], expected [height, width, channels]', tensor([1], [1], 'u8'));
    refuses({ mean: [1] }, 'ArgumentError', 'mean is 1 numbers, expected 2, the channels of image');
    refuses({ mean: [1, Number.NaN] }, 'ArgumentError', 'mean[1] is nan, expected a finite number');
    refuses({ std: [0, 1] }, 'ArgumentError', 'std[0] is 0, expected a finite number above 0');
    refuses({ rescale: Number.POSITIVE_INFINITY }, 'ArgumentError', 'rescale is inf, expected a finite number');
    refuses({ top: 2 }, 'ArgumentError', 'top is 2, expected 0 to 1, the size of image');
    refuses({ left: -1 }, 'ArgumentError', 'left is -1, expected 0 to 1, the size of image');
    refuses({ height: -1 }, 'ArgumentError', 'height is -1, expected 0 or more');
    refuses({ width: -1 }, 'ArgumentError', 'width is -1, expected 0 or more');
    refuses({ dtype: 'u8' }, 'DtypeError', 'dtype is u8, expected f32, bf16 or f16');
  });
});
