import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { reshape } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('reshape', () => {
  test('keeps the elements in order', async () => {
    const x = randn([2, 3, 5], 1);
    const y = reshape(x, [5, 6]);
    assert.deepEqual([...y.shape], [5, 6]);
    assert.deepEqual(await y.read(), await x.read());
    assert.deepEqual([...reshape(randn([0, 3], 1), [7, 0]).shape], [7, 0]);
  });

  test('gradient agrees with central differences', () => expectGradient((x) => reshape(x, [5, 2]), [2, 5]));

  test('names a shape of another count', () => {
    const x = randn([2, 3], 1);
    assert.throws(() => reshape(x, [5]), { name: 'ShapeError', message: 'reshape: shape is [5], expected 6 elements, those of x [2, 3]' });
    assert.throws(() => reshape(x, [7]), {
      name: 'ShapeError',
      message: 'reshape: shape is [7] from element 0, expected at most the 6 elements of x [2, 3]',
    });
  });
});
