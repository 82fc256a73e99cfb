import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { bilinear, cast, type Dtype, maskBits, packBits, slice, type Tensor, tensor, tidy } from '../../lib';
import { reads } from '../support/bilinear';
import { randn, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

type Size = readonly [height: number, width: number];

/** The same by the ops it is made of. */
function byOps(logits: Tensor, inputSize: number, resized: Size, original: Size, threshold: number): Tensor {
  return tidy(() => {
    const input = bilinear(cast(logits, 'f32'), inputSize, inputSize);
    const part = slice(slice(input, -2, 0, resized[0]), -1, 0, resized[1]);
    return packBits(bilinear(part, ...original), threshold);
  });
}

onEveryDevice('maskBits', () => {
  for (const [shape, inputSize, resized, original] of [
    [[2, 1, 16, 16], 64, [43, 64], [99, 150]], // growing twice
    [[3, 16, 16], 64, [64, 48], [41, 31]], // growing, then shrinking
    [[2, 8, 9], 33, [33, 17], [70, 35]],
    [[1, 40, 40], 17, [12, 17], [12, 17]], // shrinking, then the same
    [[1, 1], 5, [1, 5], [1, 70]],
    [[1, 5, 3], 4, [4, 1], [200, 1]],
    [[5, 64, 64], 256, [171, 256], [427, 640]],
  ] as [number[], number, Size, Size][])
    for (const dtype of ['f32', 'bf16', 'f16'] as Dtype[])
      test(`equals the ops it is made of, ${dtype} [${shape}] to ${inputSize}, ${resized}, ${original}`, async () => {
        const noise = randn(shape, 7, dtype);
        // Whole numbers from -1 to 1: planes of exact zeros, where a last bit decides.
        const ties = tensor(
          Float32Array.from(await noise.read(), (value) => Math.round(Math.max(-1, Math.min(1, value)))),
          shape,
        );
        for (const [logits, threshold] of [
          [noise, 0],
          [noise, 0.3],
          [cast(ties, dtype), 0],
          [cast(ties, dtype), -0.5],
        ] as const) {
          const bits = maskBits(logits, { inputSize, resized, original, threshold });
          assert.deepEqual([...bits.shape], [...shape.slice(0, -2), original[0], 8 * Math.ceil(original[1] / 64)]);
          assert.deepEqual(await bits.read(), await byOps(logits, inputSize, resized, original, threshold).read());
        }
      });

  test('equals the ops on things, small and large, at edges and alone', async () => {
    const [side, next] = [32, uniform(11)];
    for (let round = 0; round < 30; round++) {
      // A few discs of logits above 0 on a ground well below, or just below, or at 0.
      const ground = [-8, -1e-7, 0][round % 3] as number;
      const logits = new Float32Array(2 * side * side).fill(ground);
      for (let disc = 0; disc < 2 * 3; disc++) {
        const [x, y, radius, height] = [next() * side, next() * side, next() ** 2 * 8, next() * 9];
        for (let i = 0; i < side * side; i++)
          if (((i % side) - x) ** 2 + (Math.floor(i / side) - y) ** 2 < radius ** 2) logits[(disc % 2) * side * side + i] = height;
      }
      const masks = tensor(logits, [2, side, side]);
      const resized: Size = round % 2 ? [90, 128] : [128, 61];
      const original: Size = [20 + Math.floor(next() * 300), 20 + Math.floor(next() * 300)];
      const bits = await maskBits(masks, { inputSize: 128, resized, original, threshold: round % 5 ? 0 : 0.5 }).read();
      assert.deepEqual(bits, await byOps(masks, 128, resized, original, round % 5 ? 0 : 0.5).read(), `${round}`);
    }
  });

  test('leaves out logits that lie beyond the last column of the picture', async () => {
    const [height, side] = [68, 256];
    const logits = new Float32Array(side * side).fill(-1);
    for (let y = 0; y < side; y++) logits.fill(1, y * side + 240, (y + 1) * side);
    const [resized, original]: [Size, Size] = [
      [1024, 964],
      [height, 64],
    ];
    const masks = tensor(logits, [1, side, side]);
    const bits = await maskBits(masks, { inputSize: 1024, resized, original }).read();
    assert.deepEqual(bits, await byOps(masks, 1024, resized, original, 0).read());
  });

  test('agrees with float64 wherever a logit is not next to 0', async () => {
    const [low, inputSize, resized, original] = [12, 48, [30, 48] as Size, [77, 123] as Size];
    const logits = randn([low, low], 5);
    const values = await logits.read();
    const bits = await maskBits(logits, { inputSize, resized, original }).read();
    let judged = 0;
    for (let y = 0; y < original[0]; y++)
      for (let x = 0; x < original[1]; x++) {
        let sum = 0;
        for (const [inputY, a] of reads(y, resized[0], original[0]))
          for (const [inputX, b] of reads(x, resized[1], original[1]))
            for (const [lowY, c] of reads(inputY, low, inputSize))
              for (const [lowX, d] of reads(inputX, low, inputSize)) sum += a * b * c * d * (values[lowY * low + lowX] as number);
        if (Math.abs(sum) < 1e-5) continue;
        judged++;
        assert.equal(((bits[y * 16 + (x >> 3)] as number) >> (x & 7)) & 1, Number(sum > 0), `${y}, ${x}`);
      }
    assert.ok(judged > 0.99 * original[0] * original[1]);
  });

  test('NaN sets no pixel, and infinity none that it does not reach', async () => {
    const logits = tensor([Number.NaN, -1, 1, Number.NEGATIVE_INFINITY], [2, 2]);
    const options = { inputSize: 2, resized: [2, 2], original: [2, 2] } as const;
    const bits = await maskBits(logits, options).read();
    assert.deepEqual([...bits], [...(await byOps(logits, 2, [2, 2], [2, 2], 0).read())]);
    assert.equal((bits[0] as number) & 1, 0);
  });

  test('takes no masks, and gives no pixels', () => {
    const options = { inputSize: 4, resized: [4, 4], original: [9, 9] } as const;
    assert.deepEqual([...maskBits(randn([0, 3, 3], 1), options).shape], [0, 9, 8]);
    assert.deepEqual([...maskBits(randn([2, 0, 3], 1), { ...options, original: [0, 9] }).shape], [2, 0, 8]);
    assert.deepEqual([...maskBits(randn([2, 3, 3], 1), { ...options, original: [9, 0] }).shape], [2, 9, 0]);
  });

  test('names what does not fit', () => {
    const good = { inputSize: 4, resized: [4, 3], original: [9, 9] } as const;
    const refuses = (logits: Tensor, options: object, name: string, message: string) =>
      assert.throws(() => maskBits(logits, { ...good, ...options }), { name, message: `maskBits: ${message}` });
    const logits = randn([2, 2], 1);
    refuses(tensor([1], [1, 1], 'u8'), {}, 'DtypeError', 'logits is u8, expected f32, bf16 or f16');
    refuses(randn([2], 1), {}, 'ShapeError', 'logits is [2], expected at least 2 axes');
    refuses(randn([0, 2], 1), {}, 'ShapeError', 'logits is [0, 2], expected at least one pixel');
    refuses(randn([0, 2 ** 31], 1), {}, 'ShapeError', 'logits is [0, 2147483648], expected at most 2^24 pixels along an axis');
    refuses(logits, { threshold: Number.NaN }, 'ArgumentError', 'threshold is nan, expected a finite number');
    refuses(logits, { inputSize: 0 }, 'ArgumentError', 'inputSize is 0, expected 1 to 2^24');
    refuses(logits, { resized: [5, 4] }, 'ArgumentError', 'resizedHeight is 5, expected 1 to 4, inputSize');
    refuses(logits, { resized: [4, 0] }, 'ArgumentError', 'resizedWidth is 0, expected 1 to 4, inputSize');
    refuses(logits, { original: [-1, 4] }, 'ArgumentError', 'height is -1, expected 0 to 2^24');
    refuses(logits, { original: [4, 2 ** 25] }, 'ArgumentError', 'width is 33554432, expected 0 to 2^24');
    assert.throws(() => maskBits(logits, undefined as never), { name: 'ArgumentError' });
  });
});
