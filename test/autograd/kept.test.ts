/** What a call keeps for backward. In a file of its own, as what other tests leave behind goes at any time. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, linear, memory, ones, scale, synchronize, tidy } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('what is kept for backward', (device) => {
  test('of a linear layer is x only where its weight is trained', async () => {
    await tidy(async () => {
      const [leaf, weight] = [randn([256, 1024], 1), randn([8, 1024], 2)];
      leaf.requiresGrad = true;
      for (const trained of [false, true]) {
        weight.requiresGrad = trained;
        await synchronize();
        const before = memory(device).liveBytes;
        const y = tidy(() => linear(scale(leaf, 2), weight));
        await synchronize();
        assert.equal(memory(device).liveBytes - before, 4 * (y.count + (trained ? leaf.count : 0)));
        backward(y, ones([256, 8]));
        leaf.grad?.dispose();
        leaf.grad = undefined;
      }
    });
  });
});
