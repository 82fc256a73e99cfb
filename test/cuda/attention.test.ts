/** Attention on every device, not on one GPU for all: which kernel takes it depends on the architecture (cuda/attention_hopper.cuh). */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { attention, devices, onDevice } from '../../lib';
import { attentionInFloat64, expectAttention } from '../support/attention';
import { randn } from '../support/data';

const one = { batch: 1, heads: 2, kvHeads: 1, queries: 80, keys: 300, headDim: 64 };

for (const device of devices())
  for (const dtype of ['bf16', 'f16'] as const)
    test(`of 80 queries agrees with float64 in ${dtype} on ${device}`, () =>
      onDevice(device, async () => {
        const [q, k, v] = [randn([1, 2, 80, 64], 1, dtype), randn([1, 1, 300, 64], 2, dtype), randn([1, 1, 300, 64], 3, dtype)];
        const y = attention(q, k, v, { causal: true });
        assert.equal(y.device, device);
        const sees = (_: number, i: number, j: number) => j <= i + 300 - 80;
        const expected = attentionInFloat64({ ...one, sees }, await q.read(), await k.read(), await v.read());
        await expectAttention(y, expected, 64 + 300, 6);
      }));
