import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, mean, sum, type Tensor, tensor } from '../../lib';
import { broadcastIndex } from '../support/broadcast';
import { expectClose } from '../support/close';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const cases: [number[], number[]][] = [
  [[], []],
  [[1], [0]],
  [[3, 255], []],
  [[3, 20001], [1]],
  [[300, 1050], [0]],
  [
    [2, 5, 3, 7],
    [0, 2],
  ],
  [
    [2, 5, 3, 7],
    [1, -1],
  ],
  [[7, 4, 33], [1]],
  [[0, 3], [0]],
  [[0, 3], [1]],
];

onEveryDevice('sum', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, axes] of cases)
      test(`agrees with float64 on ${dtype} [${shape}] over [${axes}]`, async () => {
        const x = randn(shape, 1, dtype);
        const kept = shape.map((size, axis) => (axes.length === 0 || axes.includes(axis) || axes.includes(axis - shape.length) ? 1 : size));
        const expected = new Float64Array(countOf(kept));
        const values = await x.read();
        broadcastIndex(shape, kept).forEach((j, i) => {
          expected[j] = (expected[j] as number) + (values[i] as number);
        });
        const terms = x.count / Math.max(expected.length, 1);
        const y = sum(x, axes);
        assert.deepEqual(
          [...y.shape],
          shape.filter((_, axis) => axes.length > 0 && !axes.includes(axis) && !axes.includes(axis - shape.length)),
        );
        await expectClose(y, expected, { terms: Math.max(terms, 1), scale: 4 });
        assert.deepEqual([...sum(x, axes, { keepDims: true }).shape], kept);
        await expectClose(
          mean(x, axes),
          expected.map((value) => value / terms),
          { terms: 1, scale: 4 },
        );
      });

  test('gradient agrees with central differences', async () => {
    await expectGradient((x) => sum(x), [2, 5]);
    await expectGradient((x) => sum(x, [1]), [3, 4, 2]);
    await expectGradient((x) => mean(x, [0, -1], { keepDims: true }), [3, 4, 2]);
  });

  test('starts a gradient', async () => {
    const x = randn([3, 4], 1, 'bf16');
    x.requiresGrad = true;
    backward(mean(x));
    assert.equal(x.grad?.dtype, 'bf16');
    assert.ok((await (x.grad as Tensor).read()).every((value) => Math.abs(value - 1 / 12) < 1e-3));
    x.grad?.dispose();
  });

  test('names the argument that does not fit', () => {
    const x = randn([2, 3], 1);
    assert.throws(() => sum(x, [2]), { name: 'ArgumentError', message: 'sum: axes[0] is 2, expected -2 to 1' });
    assert.throws(() => sum(x, [1, -1]), { name: 'ArgumentError', message: 'sum: axes[1] is -1, expected each axis once' });
    assert.throws(() => sum(tensor([1], [1], 'i32')), { name: 'DtypeError', message: 'sum: x is i32, expected f32, bf16 or f16' });
  });
});
