import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { tensor, topK } from '../../lib';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('topK', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, k] of [
      [[1], 1],
      [[7, 255], 255],
      [[3, 1, 4099], 50],
      [[2, 300], 0],
      [[0, 3], 2],
      [[9, 18], 17],
    ] as const)
      test(`agrees with a sort on ${dtype} [${shape}], k ${k}`, async () => {
        const x = randn(shape, 4, dtype);
        const all = await x.read();
        const size = shape[shape.length - 1] as number;
        const wanted = Array.from({ length: countOf(shape) / size }, (_, row) => {
          const value = (i: number) => all[row * size + i] as number;
          return Array.from({ length: size }, (_, i) => i)
            .sort((a, b) => value(b) - value(a) || a - b)
            .slice(0, k);
        });
        const { values, ids } = topK(x, k);
        assert.deepEqual(ids.shape, [...shape.slice(0, -1), k]);
        assert.equal(values.dtype, dtype);
        assert.deepEqual([...(await ids.read())], wanted.flat());
        assert.deepEqual(
          [...(await values.read())],
          wanted.flatMap((row, i) => row.map((index) => all[i * size + index] as number)),
        );
      });

  test('equals in order of index, NaN first', async () => {
    const { ids } = topK(tensor([1, 3, Number.NaN, 3, -0, 0, Number.NEGATIVE_INFINITY]), 7);
    assert.deepEqual([...(await ids.read())], [2, 1, 3, 0, 4, 5, 6]);
  });

  test('has no gradient and says so', () => {
    const x = randn([3], 1);
    x.requiresGrad = true;
    assert.throws(() => topK(x, 1), { name: 'GradientError' });
  });

  test('names the argument that does not fit', () => {
    const throws = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message: `topK: ${message}` });
    throws(() => topK(tensor([1], [1], 'i32'), 1), 'DtypeError', 'x is i32, expected f32, bf16 or f16');
    throws(() => topK(tensor([1], []), 1), 'ShapeError', 'x is [], expected at least 1 axis');
    throws(() => topK(randn([2, 3], 1), 4), 'ArgumentError', 'k is 4, expected from 0 to 3, the last size of x');
    throws(() => topK(randn([2, 3], 1), -1), 'ArgumentError', 'k is -1, expected from 0 to 3, the last size of x');
  });
});
