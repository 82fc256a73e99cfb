import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { openCheckpoint } from '../../lib';
import { torchFileOf } from '../support/pickle';
import { floats, safetensorsOf, temporaryFolder } from '../support/weights';

const one = (name: string) => safetensorsOf({ [name]: floats([1], [1]) });
const torch = (name: string) =>
  torchFileOf({ [name]: { storage: 'FloatStorage', bytes: new Uint8Array(4), count: 1, shape: [1], strides: [1] } });
const index = (map: unknown) => JSON.stringify({ weight_map: map });

async function namesIn(files: Readonly<Record<string, string | Uint8Array>>): Promise<string[]> {
  using folder = temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) folder.file(name, bytes);
  try {
    return [...(await openCheckpoint(folder.path)).names];
  } catch (error) {
    throw Object.assign(error as Error, { message: (error as Error).message.replaceAll(folder.path, 'DIR') });
  }
}

describe('openCheckpoint', () => {
  test('finds the weights of a folder', async () => {
    assert.deepEqual(await namesIn({ 'model.safetensors': one('a'), 'pytorch_model.bin': torch('b'), 'other.safetensors': one('c') }), [
      'a',
    ]);
    assert.deepEqual(await namesIn({ 'pytorch_model.bin': torch('b'), 'training_args.bin': 'x' }), ['b']);
    assert.deepEqual(await namesIn({ 'weights.safetensors': one('a'), 'x.bin': torch('b') }), ['a']);
    assert.deepEqual(await namesIn({ 'sam_vit_b.pth': torch('b'), 'readme.txt': '' }), ['b']);
    const shards = { 'pytorch_model.bin.index.json': index({ b: 'b.bin' }), 'b.bin': torch('b') };
    assert.deepEqual(await namesIn(shards), ['b']);
    assert.deepEqual(await namesIn({ ...shards, 'model.safetensors': one('a') }), ['a']);
  });

  test('says what is not there, or not clear', async () => {
    await assert.rejects(openCheckpoint('/nowhere/at/all'), {
      code: 'MGLMM_CHECKPOINT_NOT_FOUND',
      message: 'there is nothing at /nowhere/at/all, expected a file or folder of weights',
    });
    await assert.rejects(namesIn({ 'config.json': '{}' }), {
      code: 'MGLMM_CHECKPOINT_NOT_FOUND',
      message: /^DIR has no weights, expected one of model\.safetensors\.index\.json, /,
    });
    await assert.rejects(namesIn({ 'a.pth': torch('a'), 'b.pth': torch('b') }), {
      code: 'MGLMM_CHECKPOINT_NOT_FOUND',
      message: 'DIR has no index and 2 files that could be the weights: a.pth, b.pth; name one of them',
    });
  });

  test('takes shards as their index says, and refuses what it does not', async () => {
    const name = 'model.safetensors.index.json';
    const two = { 'x.safetensors': one('a'), 'y.safetensors': safetensorsOf({ a: floats([1], [2]), b: floats([1], [3]) }) };
    assert.deepEqual(await namesIn({ [name]: index({ a: 'x.safetensors', b: 'y.safetensors' }), ...two }), ['a', 'b']);
    const extra = { 'x.safetensors': one('c'), 'y.safetensors': safetensorsOf({ c: floats([1], [2]), b: floats([1], [3]) }) };
    await assert.rejects(namesIn({ [name]: index({ b: 'y.safetensors', d: 'x.safetensors' }), ...extra }), {
      code: 'MGLMM_CHECKPOINT_INDEX',
      message: `DIR/${name} does not say which of two shards c is in`,
    });
    for (const file of ['../x', '/x', '..', '', 'a/b', 3]) {
      await assert.rejects(namesIn({ [name]: index({ a: file }) }), {
        code: 'MGLMM_CHECKPOINT_INDEX',
        message: `DIR/${name} puts a into ${JSON.stringify(file)}, expected the name of a file beside it`,
      });
    }
    await assert.rejects(namesIn({ [name]: '{}' }), {
      code: 'MGLMM_CHECKPOINT_FORMAT',
      message: `DIR/${name}: has no weight_map, expected tensor -> file`,
    });
    await assert.rejects(namesIn({ [name]: '[]' }), { message: `DIR/${name}: is no JSON object` });
    await assert.rejects(namesIn({ [name]: index({}) }), { message: `DIR/${name}: has an empty weight_map` });
  });
});
