import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, bilinear, type Tensor, tensor } from '../../lib';
import { resized, resizedBackward } from '../support/bilinear';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('bilinear', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, height, width] of [
      [[2, 3, 6, 5], 24, 20],
      [[1, 13, 37], 5, 7],
      [[7, 40], 11, 41],
      [[3, 9, 33], 9, 33],
      [[1, 1], 3, 70],
      [[2, 5, 1], 1, 1],
      [[1, 1, 17, 100], 3, 1000],
    ] as [number[], number, number][])
      test(`agrees with float64 on ${dtype} [${shape}] to [${height}, ${width}]`, async () => {
        const x = randn(shape, 1, dtype);
        x.requiresGrad = true;
        const y = bilinear(x, height, width);
        const [inHeight, inWidth] = shape.slice(-2) as [number, number];
        assert.deepEqual([...y.shape], [...shape.slice(0, -2), height, width]);
        const dy = randn(y.shape, 2, dtype);
        const [xs, dys] = [await x.read(), await dy.read()];
        const sizes = [y.count / (height * width), [inHeight, inWidth], [height, width]] as const;
        await expectClose(y, resized(xs, ...sizes), { terms: 4 });
        backward(y, dy);
        await expectClose(x.grad as Tensor, resizedBackward(dys, ...sizes), { terms: (4 * y.count) / x.count + 4 });
        x.grad?.dispose();
      });

  test('gradient agrees with central differences', () => expectGradient((x) => bilinear(x, 5, 3), [1, 3, 4]));

  test('takes no images, and gives no pixels', async () => {
    assert.deepEqual([...bilinear(randn([0, 3, 3], 1), 2, 2).shape], [0, 2, 2]);
    assert.deepEqual([...bilinear(randn([0, 0, 3], 1), 2, 2).shape], [0, 2, 2]);
    const x = randn([2, 3, 3], 1);
    x.requiresGrad = true;
    backward(bilinear(x, 0, 2), randn([2, 0, 2], 1));
    assert.ok((await (x.grad as Tensor).read()).every((value) => value === 0));
    x.grad?.dispose();
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `bilinear: ${message}` });
    refuses(() => bilinear(tensor([1], [1, 1], 'u8'), 1, 1), 'DtypeError', 'x is u8, expected f32, bf16 or f16');
    refuses(() => bilinear(randn([2], 1), 1, 1), 'ShapeError', 'x is [2], expected at least 2 axes');
    refuses(() => bilinear(randn([1, 0, 3], 1), 1, 1), 'ShapeError', 'x is [1, 0, 3], expected at least one pixel');
    refuses(() => bilinear(randn([1, 1], 1), -1, 1), 'ArgumentError', 'height is -1, expected 0 to 2^24');
    refuses(() => bilinear(randn([1, 1], 1), 1, 2 ** 31), 'ArgumentError', 'width is 2147483648, expected 0 to 2^24');
    refuses(() => bilinear(randn([0, 2 ** 31], 1), 0, 1), 'ShapeError', 'x is [0, 2147483648], expected at most 2^24 pixels along an axis');
  });
});
