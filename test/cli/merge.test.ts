import { strict as assert } from 'node:assert';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { clipPrefix, openCheckpoint, openModelFolder, partOf, Scope, type StoredTensor } from '../../lib';
import { readTensor } from '../../lib/weights/read_tensor';
import { mglmm } from '../support/command';
import { goldenFolder, readSafetensors } from '../support/golden';
import { floats, safetensorsOf, temporaryFolder, type WrittenTensor } from '../support/weights';

const tiny = join(goldenFolder, 'mglmm-tiny');
const { lora } = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')) as { lora: { r: number; alpha: number } };
const base = join(tiny, 'checkpoint');

type Written = Record<string, WrittenTensor>;
const asWritten = (path: string, rename: (name: string) => string): Written =>
  Object.fromEntries(Array.from(readSafetensors(path), ([name, { shape, values }]) => [rename(name), floats(shape, Array.from(values))]));

/** The base's weights as a raw dump has them. */
async function dumped(): Promise<Written> {
  using _scope = Scope.open();
  const checkpoint = await openCheckpoint(base);
  const tensors: Written = {};
  for (const name of checkpoint.names) {
    const { shape } = checkpoint.get(name);
    tensors[`base_model.model.${name.replace(/([qv]_proj)\.weight/, '$1.base_layer.weight')}`] = floats(
      shape,
      Array.from(await (await checkpoint.load(name)).read()),
    );
  }
  return tensors;
}

/** The q and v projections agree with the golden merge, all else with the base. */
async function expectMerged(path: string, merged: ReadonlyMap<string, ArrayLike<number>>): Promise<void> {
  using _scope = Scope.open();
  const [after, before] = [await openModelFolder(path), await openModelFolder(base)];
  assert.deepEqual([...after.tensors.keys()].sort(), [...before.tensors.keys()].sort());
  for (const [key, stored] of after.tensors) {
    const values = await (await readTensor(stored)).read();
    const plain = before.tensors.get(key);
    const expected = merged.get(key) ?? (plain ? await (await readTensor(plain)).read() : []);
    for (const [i, value] of values.entries()) {
      assert.ok(Math.abs(value - (expected[i] as number)) <= (merged.has(key) ? 1e-6 * (1 + Math.abs(value)) : 0), `${key}[${i}]`);
    }
  }
}

const goldenMerge = new Map(Array.from(readSafetensors(join(tiny, 'lora_merged.safetensors')), ([name, { values }]) => [name, values]));

describe('mglmm merge', () => {
  test('makes a model of a raw dump', async () => {
    using folder = temporaryFolder();
    const tensors = { ...(await dumped()), ...asWritten(join(tiny, 'lora.safetensors'), (name) => `base_model.model.${name}`) };
    const dump = folder.file('pytorch_model.safetensors', safetensorsOf(tensors));
    const target = join(folder.path, 'merged');
    const { code, err } = await mglmm(['merge', dump, target, '--base', base, '--alpha', String(lora.alpha)]);
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`^merging LoRA into ${goldenMerge.size} weights, such as model\\.layers\\.0\\.`));
    await expectMerged(target, goldenMerge);
    assert.equal((await mglmm(['verify', target])).code, 0);
    assert.match((await mglmm(['convert', dump, `${target}2`])).err, /has LoRA matrices that are not merged: run mglmm merge instead\n$/);
    assert.match((await mglmm(['inspect', dump])).out, /LoRA matrices are not merged: mglmm merge does it/);
  });

  test('leaves the CLIP tower out when it is told to', async () => {
    using folder = temporaryFolder();
    const tensors = { ...(await dumped()), ...asWritten(join(tiny, 'lora.safetensors'), (name) => name) };
    const tower = `${clipPrefix}vision_model.embeddings.class_embedding`;
    const dump = folder.file('dump.safetensors', safetensorsOf({ ...tensors, [tower]: floats([16], new Array<number>(16).fill(0)) }));
    const target = folder.file('merged');
    const { code, err } = await mglmm(['merge', dump, target, '--base', base, '--no-clip']);
    assert.equal(code, 0, err);
    const { tensors: written, manifest } = await openModelFolder(target);
    assert.deepEqual([[...written.keys()].filter((key) => partOf(key) === 'clip'), manifest?.config.clip], [[], undefined]);
  });

  test('takes up an adapter of PEFT', async () => {
    using folder = temporaryFolder();
    const adapter = join(folder.path, 'adapter');
    mkdirSync(adapter);
    const config = {
      peft_type: 'LORA',
      base_model_name_or_path: '/somewhere/else',
      lora_alpha: lora.alpha,
      r: lora.r,
      target_modules: ['q_proj', 'v_proj'],
    };
    const write = (more: object = {}) => writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify({ ...config, ...more }));
    write();
    const matrices = asWritten(join(tiny, 'lora.safetensors'), (name) => `base_model.model.${name.replace('.default', '')}`);
    writeFileSync(join(adapter, 'adapter_model.safetensors'), safetensorsOf(matrices));
    const target = join(folder.path, 'merged');
    assert.match(
      (await mglmm(['merge', adapter, target])).err,
      /the base of .*adapter is \/somewhere\/else, which is no folder here: give it with --base DIR\n$/,
    );
    write({ base_model_name_or_path: base });
    assert.equal((await mglmm(['merge', adapter, target])).code, 0);
    await expectMerged(target, goldenMerge);

    // alpha / sqrt(r) with half of sqrt(r) less is the same scaling; a pattern gives one layer another alpha.
    write({
      lora_alpha: 1,
      use_rslora: true,
      alpha_pattern: { q_proj: lora.alpha / Math.sqrt(lora.r), v_proj: lora.alpha / Math.sqrt(lora.r) },
    });
    assert.equal((await mglmm(['merge', adapter, `${target}2`, '--base', base])).code, 0);
    await expectMerged(`${target}2`, goldenMerge);

    write({ use_dora: true });
    assert.match((await mglmm(['merge', adapter, `${target}3`, '--base', base])).err, /adapter_config\.json: use_dora: /);
  });

  test('takes over what was trained whole', async () => {
    using folder = temporaryFolder();
    const adapter = join(folder.path, 'adapter');
    mkdirSync(adapter);
    writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify({ lora_alpha: lora.alpha }));
    const matrices = asWritten(join(tiny, 'lora.safetensors'), (name) => `base_model.model.${name}`);
    const { tensors } = await openModelFolder(base);
    const [size] = (tensors.get('model.norm.weight') as StoredTensor).shape as [number];
    const trained = Array.from({ length: size }, (_, i) => i / 8);
    writeFileSync(
      join(adapter, 'adapter_model.safetensors'),
      safetensorsOf({ ...matrices, 'base_model.model.model.norm.weight': floats([size], trained) }),
    );
    const target = join(folder.path, 'merged');
    const { code, err } = await mglmm(['merge', adapter, target, '--base', base]);
    assert.equal(code, 0, err);
    assert.match(err, /\n1 more weights are those of .*adapter\n/);
    await expectMerged(target, new Map([...goldenMerge, ['model.norm.weight', Float32Array.from(trained)]]));
  });

  test('refuses matrices that do not fit', async () => {
    using folder = temporaryFolder();
    const merge = async (tensors: Written) =>
      (await mglmm(['merge', folder.file('x.safetensors', safetensorsOf(tensors)), join(folder.path, 'merged'), '--base', base])).err;
    const [a, b] = ['model.layers.0.self_attn.q_proj.lora_A.weight', 'model.layers.0.self_attn.q_proj.lora_B.weight'];
    const { tensors } = await openModelFolder(base);
    const [out, inSize] = (tensors.get('model.layers.0.self_attn.q_proj.weight') as StoredTensor).shape as [number, number];
    const zeros = (...shape: [number, number]) => floats(shape, new Array<number>(shape[0] * shape[1]).fill(0));
    assert.match(await merge({ [a]: zeros(2, inSize) }), /q_proj\.lora_A has no lora_B beside it\n$/);
    assert.match(await merge({ [b]: zeros(out, 2) }), /q_proj\.lora_B has no lora_A beside it\n$/);
    assert.match(
      await merge({ [a]: zeros(2, inSize + 1), [b]: zeros(out, 2) }),
      /expected \[\d+, r\] and \[r, \d+\] as its weight is \[\d+, \d+\]\n$/,
    );
    const elsewhere = { [a.replace('layers.0', 'layers.99')]: zeros(2, inSize), [b.replace('layers.0', 'layers.99')]: zeros(out, 2) };
    assert.match(
      await merge(elsewhere),
      /corrects model\.layers\.99\.self_attn\.q_proj\.weight, which is not there; is the base the right one\?\n$/,
    );
    assert.match(
      await merge({ 'model.layers.0.self_attn.q_proj.weight': zeros(out, inSize) }),
      /has no LoRA matrices: there is nothing to merge\n$/,
    );
    const unknown = { [a]: zeros(2, inSize), [b]: zeros(out, 2), 'model.layers.77.mlp.up_proj.weight': zeros(1, 1) };
    assert.match(await merge(unknown), /has weights that the base does not:\n {2}unexpected: model\.layers\.77\.mlp\.up_proj\.weight\n$/);
    assert.match((await mglmm(['merge', 'x', 'y', '--alpha', 'z'])).err, /expected a number/);
  });
});
