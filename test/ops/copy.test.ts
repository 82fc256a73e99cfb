import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { copy, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('copy', () => {
  for (const shape of [[], [1], [3, 255], [2, 1, 400099], [0, 3]])
    test(`keeps every bit of [${shape}]`, async () => {
      for (const dtype of ['f32', 'bf16', 'f16'] as const) {
        const x = randn(shape, 1, dtype);
        assert.deepEqual(await copy(x).readBits(), await x.readBits());
      }
    });

  test('outlives what it copied', async () => {
    const x = tensor(Uint8Array.of(1, 2, 3));
    const y = copy(x);
    x.dispose();
    assert.deepEqual([...(await y.read())], [1, 2, 3]);
  });

  test('gradient agrees with central differences', () => expectGradient(copy, [2, 5]));
});
