import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { spliceRows, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const at = (...values: number[]) => tensor(Int32Array.from(values));

onEveryDevice('spliceRows', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const count of [0, 1, 5])
      test(`puts ${count} rows in the place of one in ${dtype}`, async () => {
        const [x, rows] = [randn([3, 7, 33], 1, dtype), randn([3, count, 33], 2, dtype)];
        const positions = [0, 6, 2];
        const y = spliceRows(x, rows, at(...positions));
        assert.deepEqual([...y.shape], [3, 6 + count, 33]);
        const [tokens, features] = [[...(await x.readBits())], [...(await rows.readBits())]];
        const expected = positions.flatMap((position, b) => [
          ...tokens.slice(b * 7 * 33, (b * 7 + position) * 33),
          ...features.slice(b * count * 33, (b + 1) * count * 33),
          ...tokens.slice((b * 7 + position + 1) * 33, (b + 1) * 7 * 33),
        ]);
        assert.deepEqual([...(await y.readBits())], expected);
      });

  test('gradient agrees with central differences', async () => {
    const positions = at(1, 3);
    await expectGradient((x, rows) => spliceRows(x, rows, positions), [2, 4, 3], [2, 2, 3]);
    await expectGradient((rows) => spliceRows(randn([2, 4, 3], 1), rows, positions), [2, 2, 3]);
  });

  test('names a position out of range', () =>
    assert.rejects(spliceRows(randn([2, 4, 3], 1), randn([2, 2, 3], 1), at(1, 4)).read(), {
      name: 'ArgumentError',
      message: 'spliceRows: positions[1] is 4, expected 0 to 3',
    }));

  test('names the argument that does not fit', () => {
    const [x, rows] = [randn([2, 4, 3], 1), randn([2, 2, 3], 1)];
    assert.throws(() => spliceRows(randn([4, 3], 1), rows, at(0, 0)), {
      name: 'ShapeError',
      message: 'spliceRows: x is [4, 3], expected [batch, seq, dim]',
    });
    assert.throws(() => spliceRows(x, randn([2, 3], 1), at(0, 0)), {
      name: 'ShapeError',
      message: 'spliceRows: rows is [2, 3], expected [batch, n, dim]',
    });
    assert.throws(() => spliceRows(x, randn([1, 2, 3], 1), at(0, 0)), {
      name: 'ShapeError',
      message: 'spliceRows: rows is [1, 2, 3], expected 2 along axis 0, the batch of x',
    });
    assert.throws(() => spliceRows(x, randn([2, 2, 4], 1), at(0, 0)), {
      name: 'ShapeError',
      message: 'spliceRows: rows is [2, 2, 4], expected 3 along axis 2, the last size of x',
    });
    assert.throws(() => spliceRows(x, randn([2, 2, 3], 1, 'bf16'), at(0, 0)), {
      name: 'DtypeError',
      message: 'spliceRows: rows is bf16, expected f32, the dtype of x',
    });
    assert.throws(() => spliceRows(x, rows, at(0)), {
      name: 'ShapeError',
      message: 'spliceRows: positions is [1], expected [2], one for each sequence of x',
    });
    assert.throws(() => spliceRows(x, rows, randn([2], 1)), { name: 'DtypeError', message: 'spliceRows: positions is f32, expected i32' });
    assert.throws(() => spliceRows(randn([2, 0, 3], 1), rows, at(0, 0)), {
      name: 'ArgumentError',
      message: 'spliceRows: x is [2, 0, 3], expected at least one row to replace',
    });
  });
});
