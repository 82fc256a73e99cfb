import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { full, ones, zeros } from '../../lib';
import { onEveryDevice } from '../support/devices';

onEveryDevice('fill', () => {
  for (const dtype of ['f32', 'bf16', 'f16', 'i32', 'u8'] as const)
    for (const shape of [[], [1], [3, 4099], [0, 3]])
      test(`fills ${dtype} [${shape}]`, async () => {
        for (const [made, value] of [
          [full(shape, 5, dtype), 5],
          [zeros(shape, dtype), 0],
          [ones(shape, dtype), 1],
        ] as const) {
          assert.deepEqual([...made.shape], shape);
          assert.equal(made.dtype, dtype);
          assert.ok((await made.read()).every((element) => element === value));
        }
      });

  test('takes any number for a floating dtype', async () => {
    assert.deepEqual([...(await full([2], Number.NEGATIVE_INFINITY, 'f16').read())], [-Infinity, -Infinity]);
    assert.ok(Number.isNaN(await full([], Number.NaN, 'bf16').item()));
    assert.equal(await full([], 0.1).item(), Math.fround(0.1));
    assert.equal(await full([], -2147483648, 'i32').item(), -2147483648);
  });

  test('names the argument that does not fit', () => {
    assert.throws(() => full([2], 256, 'u8'), {
      name: 'ArgumentError',
      message: 'fill: value is 256, expected an integer from 0 to 255 for u8',
    });
    assert.throws(() => full([2], 0.5, 'i32'), {
      name: 'ArgumentError',
      message: 'fill: value is 0.500000, expected an integer of 32 bits for i32',
    });
    assert.throws(() => full([-1], 0), { name: 'ShapeError', message: 'fill: shape: shape has size -1, expected at least 0' });
  });
});
