import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, convTranspose2d, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

type Sizes = [number, number, number, number];

onEveryDevice('convTranspose2d', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [xShape, weightShape] of [
      [
        [2, 8, 5, 3],
        [8, 4, 2, 2],
      ],
      [
        [1, 37, 3, 7],
        [37, 19, 2, 2],
      ],
      [
        [1, 3, 2, 4],
        [3, 5, 3, 3],
      ],
      [
        [3, 2, 1, 1],
        [2, 1, 1, 1],
      ],
    ] as [Sizes, Sizes][])
      test(`agrees with float64 on ${dtype} [${xShape}], kernel [${weightShape}]`, async () => {
        const [batch, channels, height, width] = xShape;
        const [, out, size] = weightShape;
        const given = [randn(xShape, 1, dtype), randn(weightShape, 2, dtype), randn([out], 3, dtype)] as const;
        const [x, weight, bias] = given;
        for (const one of given) one.requiresGrad = true;
        const y = convTranspose2d(x, weight, bias);
        assert.deepEqual([...y.shape], [batch, out, size * height, size * width]);
        const dy = randn(y.shape, 4, dtype);
        const [xs, weights, biases, dys] = await Promise.all([...given, dy].map((one) => one.read()));
        const [expected, dx, dweight, dbias] = [y, ...given].map(({ count }) => new Float64Array(count));
        let to = 0;
        for (let n = 0; n < batch; n++)
          for (let o = 0; o < out; o++)
            for (let row = 0; row < size * height; row++)
              for (let column = 0; column < size * width; column++, to++) {
                expected![to] = biases![o] as number;
                dbias![o]! += dys![to] as number;
                for (let i = 0; i < channels; i++) {
                  const from = ((n * channels + i) * height + Math.floor(row / size)) * width + Math.floor(column / size);
                  const by = ((i * out + o) * size + (row % size)) * size + (column % size);
                  expected![to]! += (xs![from] as number) * (weights![by] as number);
                  dx![from]! += (dys![to] as number) * (weights![by] as number);
                  dweight![by]! += (dys![to] as number) * (xs![from] as number);
                }
              }
        await expectClose(y, expected!, { terms: channels });
        backward(y, dy);
        await expectClose(x.grad as Tensor, dx!, { terms: out * size * size });
        await expectClose(weight.grad as Tensor, dweight!, { terms: x.count });
        await expectClose(bias.grad as Tensor, dbias!, { terms: y.count });
        for (const one of given) one.grad?.dispose();
      });

  test('gradient agrees with central differences', () => expectGradient(convTranspose2d, [1, 2, 2, 3], [2, 3, 2, 2], [3]));

  test('takes empty batches, and channels that are none', async () => {
    assert.deepEqual([...convTranspose2d(randn([0, 3, 4, 4], 1), randn([3, 2, 2, 2], 1)).shape], [0, 2, 8, 8]);
    const y = convTranspose2d(randn([1, 0, 1, 1], 1), randn([0, 2, 2, 2], 1), tensor([2, 3]));
    assert.deepEqual(Array.from(await y.read()), [2, 2, 2, 2, 3, 3, 3, 3]);
    const weight = randn([3, 2, 2, 2], 1);
    weight.requiresGrad = true;
    backward(convTranspose2d(randn([0, 3, 1, 1], 1), weight), randn([0, 2, 2, 2], 1));
    assert.ok((await (weight.grad as Tensor).read()).every((value) => value === 0));
    weight.grad?.dispose();
  });

  test('names the shape that does not fit', () => {
    const x = randn([1, 2, 4, 5], 1);
    const refuses = (call: () => unknown, message: string) =>
      assert.throws(call, { name: 'ShapeError', message: `convTranspose2d: ${message}` });
    refuses(() => convTranspose2d(randn([2], 1), x), 'x is [2], expected [batch, in, height, width]');
    refuses(() => convTranspose2d(x, randn([2], 1)), 'weight is [2], expected [in, out, k, k]');
    refuses(() => convTranspose2d(x, randn([3, 2, 2, 2], 1)), 'weight is [3, 2, 2, 2], expected 2 along axis 0, the channels of x');
    refuses(() => convTranspose2d(x, randn([2, 2, 2, 3], 1)), 'weight is [2, 2, 2, 3], expected 2 along axis 3, its size along axis 2');
    refuses(() => convTranspose2d(x, randn([2, 3, 2, 2], 1), randn([2], 1)), 'bias is [2], expected [3], one value an output channel');
    refuses(
      () => convTranspose2d(randn([1, 0, 2 ** 40, 1], 1), randn([0, 0, 2 ** 20, 2 ** 20], 1)),
      'the result has more than 2^48 elements',
    );
  });

  test('names the number that does not fit', () =>
    assert.throws(() => convTranspose2d(randn([1, 2, 4, 5], 1), randn([2, 3, 0, 0], 1)), {
      name: 'ArgumentError',
      message: 'convTranspose2d: kernel is 0, expected at least 1',
    }));

  test('names the dtype that does not fit', () => {
    const refuses = (call: () => unknown, message: string) =>
      assert.throws(call, { name: 'DtypeError', message: `convTranspose2d: ${message}` });
    const x = randn([1, 1, 1, 1], 1);
    refuses(() => convTranspose2d(tensor([1], [1, 1, 1, 1], 'u8'), x), 'x is u8, expected f32, bf16 or f16');
    refuses(() => convTranspose2d(x, randn([1, 1, 1, 1], 1, 'bf16')), 'weight is bf16, expected f32, the dtype of x');
    refuses(() => convTranspose2d(x, x, randn([1], 1, 'f16')), 'bias is f16, expected f32, the dtype of x');
  });
});
