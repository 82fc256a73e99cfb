import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { concat, slice, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('concat', () => {
  for (const axis of [0, 1, 2, -1])
    test(`puts tensors one after another along axis ${axis}`, async () => {
      const at = axis < 0 ? axis + 3 : axis;
      for (const dtype of ['f32', 'bf16'] as const) {
        const parts = [3, 0, 5].map((size, i) =>
          randn(
            [2, 3, 4].map((other, j) => (j === at ? size : other)),
            i,
            dtype,
          ),
        );
        const y = concat(parts, axis);
        assert.equal(y.shape[at], 8);
        let begin = 0;
        for (const part of parts) {
          const end = begin + (part.shape[at] as number);
          assert.deepEqual(await slice(y, at, begin, end).readBits(), await part.readBits());
          begin = end;
        }
      }
    });

  test('puts one tensor over and over', async () => {
    const x = randn([1, 3, 5], 1, 'bf16');
    const y = concat([x, x, x], 0);
    for (const i of [0, 1, 2]) assert.deepEqual(await slice(y, 0, i, i + 1).readBits(), await x.readBits());
  });

  test('gradient agrees with central differences', async () => {
    await expectGradient((a, b) => concat([a, b], 1), [2, 3], [2, 1]);
    await expectGradient((a, b) => concat([a, b, a], 0), [2, 3], [4, 3]);
  });

  test('names the argument that does not fit', () => {
    const x = randn([2, 3], 1);
    assert.throws(() => concat([], 0), { name: 'ArgumentError', message: 'concat: xs is an empty array, expected at least one tensor' });
    assert.throws(() => concat([x], 2), { name: 'ArgumentError', message: 'concat: axis is 2, expected -2 to 1' });
    assert.throws(() => concat([x, tensor([1], [1], 'i32')], 0), {
      name: 'DtypeError',
      message: 'concat: xs[1] is i32, expected f32, the dtype of xs[0]',
    });
    assert.throws(() => concat([x, randn([3], 1)], 0), {
      name: 'ShapeError',
      message: 'concat: xs[1] is [3], expected as many axes as xs[0] [2, 3]',
    });
    assert.throws(() => concat([x, randn([2, 4], 1)], 0), {
      name: 'ShapeError',
      message: 'concat: xs[1] is [2, 4], expected [2, 3], xs[0] but along axis 0',
    });
  });
});
