import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { gatherRows, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const indexOf = (...values: number[]) => tensor(Int32Array.from(values));

onEveryDevice('gatherRows', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    test(`takes rows in ${dtype}`, async () => {
      const x = randn([9, 255], 1, dtype);
      const bits = await x.readBits();
      const rows = [8, 0, 3, 3];
      const y = gatherRows(x, indexOf(...rows));
      assert.deepEqual([...y.shape], [4, 255]);
      assert.deepEqual(
        [...(await y.readBits())],
        rows.flatMap((row) => [...bits.slice(row * 255, (row + 1) * 255)]),
      );
      assert.deepEqual([...gatherRows(x, indexOf()).shape], [0, 255]);
    });

  test('gradient agrees with central differences', () => {
    const index = indexOf(2, 0, 2);
    return expectGradient((x) => gatherRows(x, index), [4, 3]);
  });

  test('names an index out of range', () =>
    assert.rejects(gatherRows(randn([3, 4], 1), indexOf(0, 3)).read(), {
      name: 'ArgumentError',
      message: 'gatherRows: index[1] is 3, expected 0 to 2',
    }));

  test('names the argument that does not fit', () => {
    const x = randn([3, 2], 1);
    assert.throws(() => gatherRows(randn([3], 1), indexOf(0)), {
      name: 'ShapeError',
      message: 'gatherRows: x is [3], expected [rows, dim]',
    });
    assert.throws(() => gatherRows(x, tensor(Int32Array.of(0), [1, 1])), {
      name: 'ShapeError',
      message: 'gatherRows: index is [1, 1], expected [n]',
    });
    assert.throws(() => gatherRows(x, randn([1], 1)), { name: 'DtypeError', message: 'gatherRows: index is f32, expected i32' });
  });
});
