import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { argmax, tensor } from '../../lib';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('argmax', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [7, 255], [3, 1, 4099], [0, 3], [40, 1], [2, 17]])
      test(`agrees with a plain loop on ${dtype} [${shape}]`, async () => {
        const x = randn(shape, 4, dtype); // 16 bit values repeat, so the first of equals is seen
        const values = await x.read();
        const size = shape[shape.length - 1] as number;
        const wanted = Array.from({ length: countOf(shape) / size }, (_, row) => {
          let best = 0;
          for (let i = 1; i < size; i++) if ((values[row * size + i] as number) > (values[row * size + best] as number)) best = i;
          return best;
        });
        const ids = argmax(x);
        assert.equal(ids.dtype, 'i32');
        assert.deepEqual(ids.shape, shape.slice(0, -1));
        assert.deepEqual([...(await ids.read())], wanted);
      });

  test('equals, both zeros, NaN and infinities', async () => {
    const of = async (...values: number[]) => argmax(tensor(values)).item();
    assert.equal(await of(1, 3, 3, 2), 1);
    assert.equal(await of(-0, 0), 0);
    assert.equal(await of(Number.NEGATIVE_INFINITY, -3e38), 1);
    assert.equal(await of(Number.POSITIVE_INFINITY, Number.NaN, Number.NaN), 1);
    assert.equal(await of(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY), 0);
  });

  test('names the argument that does not fit', () => {
    const throws = (x: unknown, name: string, message: string) =>
      assert.throws(() => argmax(x as ReturnType<typeof tensor>), { name, message: `argmax: ${message}` });
    throws(tensor([1], [1], 'i32'), 'DtypeError', 'x is i32, expected f32, bf16 or f16');
    throws(tensor([1], []), 'ShapeError', 'x is [], expected at least 1 axis');
    throws(tensor([], [2, 0]), 'ArgumentError', 'the last size of x is 0, expected from 1 to 2147483647');
  });
});
