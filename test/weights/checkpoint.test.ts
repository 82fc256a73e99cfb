import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { openCheckpoint, Scope } from '../../lib';
import { goldenFolder, readSafetensors } from '../support/golden';

const llama = join(goldenFolder, 'llama-tiny/weights.safetensors');

describe('openCheckpoint', () => {
  test('offers every tensor of a safetensors file, mapped', async () => {
    using _scope = Scope.open();
    const checkpoint = await openCheckpoint(llama);
    const expected = readSafetensors(llama);
    assert.deepEqual([...checkpoint.names].sort(), [...expected.keys()].sort());
    for (const [name, { shape, values }] of expected) {
      assert.deepEqual(checkpoint.get(name).shape, shape);
      assert.deepEqual(await (await checkpoint.load(name)).read(), values);
    }
  });

  test('opens a folder of shards', async () => {
    using _scope = Scope.open();
    const checkpoint = await openCheckpoint(join(goldenFolder, 'mglmm-tiny/checkpoint'));
    assert.ok(checkpoint.has('model.norm.weight') && checkpoint.has('lm_head.weight'));
    assert.equal((await checkpoint.load('model.norm.weight', 'bf16')).dtype, 'bf16');
  });
});
