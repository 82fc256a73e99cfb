import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { openCheckpoint, Scope } from '../../lib';
import { goldenFolder, readSafetensors } from '../support/golden';
import { floats, safetensorsOf, temporaryFolder } from '../support/weights';

const llama = join(goldenFolder, 'llama-tiny/weights.safetensors');

describe('Checkpoint', () => {
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

  test('casts on the way, and knows its names', async () => {
    using folder = temporaryFolder();
    using _scope = Scope.open();
    const checkpoint = await openCheckpoint(folder.file('x.safetensors', safetensorsOf({ a: floats([2], [1, 1 + 2 ** -12]) })));
    assert.equal(checkpoint.has('a') && !checkpoint.has('b'), true);
    const tensor = await checkpoint.load('a', 'bf16');
    assert.equal(tensor.dtype, 'bf16');
    assert.deepEqual(Array.from(await tensor.read()), [1, 1]);
    assert.throws(() => checkpoint.get('b'), { code: 'MGLMM_ARGUMENT', message: `checkpoint: ${checkpoint.path} has no tensor b` });
    await assert.rejects(checkpoint.load('b'), { code: 'MGLMM_ARGUMENT' });
  });
});
