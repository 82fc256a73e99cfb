import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { slice, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('slice', () => {
  for (const [axis, begin, end] of [
    [0, 0, 3],
    [0, 1, 2],
    [1, 2, 5],
    [2, 3, 7],
    [-1, 0, 6],
    [1, 4, 4],
  ] as const)
    test(`takes ${begin} to ${end} along axis ${axis}`, async () => {
      const shape = [3, 5, 7];
      const at = axis < 0 ? axis + 3 : axis;
      for (const x of [
        randn(shape, 1),
        randn(shape, 1, 'bf16'),
        tensor(
          Uint8Array.from({ length: 105 }, (_, i) => i),
          shape,
        ),
      ]) {
        const y = slice(x, axis, begin, end);
        assert.deepEqual(
          [...y.shape],
          shape.map((size, i) => (i === at ? end - begin : size)),
        );
        const expected = [...(await x.readBits())].filter((_, index) => {
          const along = [Math.floor(index / 35), Math.floor(index / 7) % 5, index % 7][at] as number;
          return along >= begin && along < end;
        });
        assert.deepEqual([...(await y.readBits())], expected);
      }
    });

  test('gradient agrees with central differences', async () => {
    await expectGradient((x) => slice(x, 1, 1, 3), [2, 4, 3]);
    await expectGradient((x) => slice(x, -1, 0, 2), [5, 3]);
  });

  test('of nothing is nothing', async () => assert.deepEqual((await slice(randn([0, 3], 1), 1, 1, 3).read()).length, 0));

  test('names the argument that does not fit', () => {
    const x = randn([2, 3], 1);
    assert.throws(() => slice(x, 2, 0, 1), { name: 'ArgumentError', message: 'slice: axis is 2, expected -2 to 1' });
    assert.throws(() => slice(randn([], 1), 0, 0, 1), { name: 'ArgumentError', message: 'slice: axis is 0, expected a tensor with axes' });
    assert.throws(() => slice(x, 1, 4, 4), { name: 'ArgumentError', message: 'slice: begin is 4, expected 0 to 3' });
    assert.throws(() => slice(x, 1, 2, 1), { name: 'ArgumentError', message: 'slice: end is 1, expected 2 to 3' });
  });
});
