import { strict as assert } from 'node:assert';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from '@jest/globals';
import { openModelFolder, Scope } from '../../lib';
import { modelParts } from '../../lib/models/model_parts';
import { readTensor } from '../../lib/weights/read_tensor';
import { mglmm } from '../support/command';
import { goldenFolder } from '../support/golden';
import { floats, safetensorsOf, temporaryFolder } from '../support/weights';

const tiny = join(goldenFolder, 'mglmm-tiny');
const { vision_tower } = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')) as { vision_tower: string };
const clip = join(tiny, vision_tower);
const checkpoint = join(tiny, 'checkpoint');

/** Every tensor of a model in the dtype it has, by key. */
async function valuesIn(path: string, towers?: { clip?: string }): Promise<Map<string, unknown>> {
  using _scope = Scope.open();
  const { tensors } = await openModelFolder(path, towers);
  const values = new Map<string, unknown>();
  for (const [key, stored] of [...tensors].sort())
    values.set(key, [stored.dtype, stored.shape, await (await readTensor(stored)).readBits()]);
  return values;
}

describe('mglmm convert', () => {
  const forms = JSON.parse(readFileSync(join(tiny, 'checkpoints/forms.json'), 'utf8')) as Record<string, { layout: string }>;
  for (const [form, { layout }] of Object.entries(forms)) {
    test(`${form} becomes one folder with the same weights`, async () => {
      using folder = temporaryFolder();
      const target = join(folder.path, 'copy');
      const towers = form.endsWith('.pth') ? [] : ['--clip', clip];
      const { code, err } = await mglmm(['convert', join(tiny, form), target, ...towers]);
      if (layout.includes('three tensors only')) {
        assert.equal(code, 1);
        assert.equal(readdirSync(folder.path).join(), '');
        return;
      }
      assert.equal(code, 0, err);
      const before = await openModelFolder(join(tiny, form), towers.length > 0 ? { clip } : {});
      const after = await openModelFolder(target);
      assert.equal(after.family, before.family);
      assert.deepEqual(modelParts(after), { ...modelParts(before), guesses: [] });
      assert.deepEqual(await valuesIn(target), await valuesIn(join(tiny, form), towers.length > 0 ? { clip } : {}));
      assert.equal((await mglmm(['verify', target])).code, 0);
    });
  }

  test('casts, and writes shards with an index', async () => {
    using folder = temporaryFolder();
    const target = join(folder.path, 'copy');
    const bytes = Array.from((await openModelFolder(checkpoint)).tensors.values(), (stored) => stored.bytes / 2);
    const shardBytes = Math.round(bytes.reduce((sum, one) => sum + one, 0) / 5);
    const { code, out } = await mglmm(['convert', checkpoint, target, '--dtype', 'bf16', '--shard-size', String(shardBytes / 1e9)]);
    assert.equal(code, 0);
    assert.match(out, /copy: mglmm, \d+ tensors, \S+ [kMG]B in \d+ files\n$/);
    const shards = readdirSync(target).filter((file) => file.endsWith('.safetensors'));
    assert.ok(shards.length > 3 && existsSync(join(target, 'model.safetensors.index.json')));
    const header = (file: Buffer) => 8 + Number(file.readBigUInt64LE());
    const files = shards.map((file) => readFileSync(join(target, file)));
    assert.ok(files.every((file) => file.length - header(file) <= Math.max(shardBytes, ...bytes) && header(file) % 64 === 0));
    const [cast, plain] = [await openModelFolder(target), await openModelFolder(checkpoint)];
    using _scope = Scope.open();
    for (const [key, stored] of plain.tensors) {
      assert.equal(cast.tensors.get(key)?.dtype, 'bf16');
      const copied = await readTensor(cast.tensors.get(key) ?? stored);
      assert.deepEqual(await copied.readBits(), await (await readTensor(stored, 'bf16')).readBits());
    }
  });

  test('takes from elsewhere what of the tokenizer the model lacks', async () => {
    using folder = temporaryFolder();
    const [tokenizer, target] = [join(folder.path, 'tokenizer'), join(folder.path, 'copy')];
    mkdirSync(tokenizer);
    for (const file of ['tokenizer.model', 'added_tokens.json']) writeFileSync(join(tokenizer, file), 'elsewhere');
    assert.equal((await mglmm(['convert', checkpoint, target, '--tokenizer', tokenizer])).code, 0);
    assert.equal(readFileSync(join(target, 'tokenizer.model'), 'utf8'), 'elsewhere');
    assert.equal(readFileSync(join(target, 'added_tokens.json'), 'utf8'), readFileSync(join(checkpoint, 'added_tokens.json'), 'utf8'));
    assert.match(
      (await mglmm(['convert', checkpoint, `${target}2`])).err,
      /^it has no tokenizer: give the folder of one with --tokenizer DIR\n$/,
    );
    assert.match(
      (await mglmm(['convert', checkpoint, `${target}3`, '--tokenizer', folder.path])).err,
      /^mglmm: --tokenizer: .* has no tokenizer\.model or tokenizer\.json\n$/,
    );
  });

  test('asks for a tower that is not there, or leaves it out', async () => {
    using folder = temporaryFolder();
    cpSync(checkpoint, join(folder.path, 'alone/model'), { recursive: true });
    const convert = (...args: string[]) => mglmm(['convert', join(folder.path, 'alone/model'), join(folder.path, 'copy'), ...args]);
    const { code, err } = await convert();
    assert.equal(code, 1);
    assert.match(
      err,
      new RegExp(
        `^mglmm: ${vision_tower} is not in .*model or beside it: give its folder with --clip DIR, or leave it out with --no-clip\n$`,
      ),
    );
    assert.equal((await convert('--no-clip')).code, 0);
    assert.match((await mglmm(['verify', join(folder.path, 'copy')])).out, /shapes {2}\d+ tensors are those of the family mglmm/);
    rmSync(join(folder.path, 'copy'), { recursive: true });
    assert.match((await convert('--clip', checkpoint)).err, /holds a mglmm, expected a clip\n$/);
  });

  test('leaves a tower out that is there, with which what is written is whole again', async () => {
    using folder = temporaryFolder();
    const convert = async (source: string, name: string, ...args: string[]) => {
      const { code, err } = await mglmm(['convert', source, folder.file(name), ...args]);
      assert.equal(code, 0, err);
      return folder.file(name);
    };
    const whole = await convert(checkpoint, 'whole');
    for (const source of [checkpoint, whole]) {
      const bare = await convert(source, `bare-${basename(source)}`, '--no-clip');
      const { out } = await mglmm(['inspect', bare]);
      assert.match(out, /\n {2}clip: clip-vit-tiny-patch14-56 is not here; say where with --clip DIR\n/);
      assert.doesNotMatch(out, /^clip /m);
      assert.match((await mglmm(['verify', bare, '--clip', clip])).out, /\nshapes {2}\d+ tensors are those of the family mglmm\n/);
      const again = await openModelFolder(await convert(bare, `again-${basename(source)}`, '--clip', clip));
      assert.deepEqual(modelParts(again), modelParts(await openModelFolder(whole)));
    }
    const { code, err } = await mglmm(['convert', clip, folder.file('nothing'), '--no-clip']);
    assert.deepEqual([code, err], [2, `mglmm: --no-clip: ${clip} is a CLIP tower alone, of which it leaves nothing\n`]);
  });

  test('leaves out what belongs to no part, and says so', async () => {
    using folder = temporaryFolder();
    cpSync(clip, join(folder.path, vision_tower), { recursive: true });
    cpSync(checkpoint, join(folder.path, 'model'), { recursive: true });
    const index = join(folder.path, 'model/model.safetensors.index.json');
    const { weight_map } = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
    writeFileSync(index, JSON.stringify({ weight_map: { ...weight_map, 'model.other.weight': 'other.safetensors' } }));
    writeFileSync(join(folder.path, 'model/other.safetensors'), safetensorsOf({ 'model.other.weight': floats([1], [1]) }));
    const { code, err } = await mglmm(['convert', join(folder.path, 'model'), join(folder.path, 'copy')]);
    assert.equal(code, 0);
    assert.match(err, /^left out 1 tensors of no known part, such as model\.other\.weight\n/);
    assert.equal((await openModelFolder(join(folder.path, 'copy'))).tensors.has('model.other.weight'), false);
  });

  test('takes nothing that is not as its manifest says, of the model or of a tower', async () => {
    using folder = temporaryFolder();
    const convert = (...args: string[]) => mglmm(['convert', ...args]);
    const [model, tower, target] = [folder.file('model'), folder.file('tower'), folder.file('copy')];
    assert.equal((await convert(checkpoint, model, '--no-clip')).code, 0);
    assert.equal((await convert(clip, tower)).code, 0);
    const controller = new AbortController();
    controller.abort();
    assert.equal((await mglmm(['convert', model, target, '--no-clip'], { signal: controller.signal })).code, 130);
    for (const path of [tower, model]) {
      const file = join(path, 'model.safetensors');
      const bytes = readFileSync(file);
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
      writeFileSync(file, bytes);
      const { code, err } = await convert(model, target, '--clip', tower);
      assert.equal(code, 1);
      assert.match(
        err,
        new RegExp(`^mglmm: ${path} is not as its mglmm\\.json says: model\\.safetensors has the sha256 .*: it was changed or damaged\n$`),
      );
      assert.equal(readdirSync(folder.path).sort().join(), 'model,tower');
    }
  });

  test('refuses a folder that holds something', async () => {
    using folder = temporaryFolder();
    folder.file('mine', 'x');
    assert.match((await mglmm(['convert', checkpoint, folder.path])).err, /is not empty, expected a new or an empty folder\n$/);
    assert.match((await mglmm(['convert', checkpoint, folder.file('mine')])).err, /mine is no folder, expected a new or an empty one\n$/);
    assert.equal(readdirSync(folder.path).join(), 'mine');
    rmSync(folder.file('mine'));
    assert.equal((await mglmm(['convert', checkpoint, folder.path])).code, 0);
  });

  test('leaves nothing when it is aborted midway', async () => {
    using folder = temporaryFolder();
    const controller = new AbortController();
    const watch = setInterval(() => {
      const partial = readdirSync(folder.path).find((name) => name.includes('partial'));
      if (partial && readdirSync(join(folder.path, partial)).length > 0) controller.abort();
    }, 0);
    const { code, err } = await mglmm(['convert', checkpoint, join(folder.path, 'copy')], { signal: controller.signal });
    clearInterval(watch);
    assert.deepEqual([code, err], [130, 'mglmm: interrupted\n']);
    assert.equal(readdirSync(folder.path).join(), '');
  });

  test('refuses weights that are not all there', async () => {
    using folder = temporaryFolder();
    cpSync(clip, join(folder.path, vision_tower), { recursive: true });
    const missing = join(tiny, 'checkpoints/broken/missing_key');
    cpSync(checkpoint, join(folder.path, 'model'), { recursive: true });
    cpSync(missing, join(folder.path, 'model'), { recursive: true });
    const index = join(folder.path, 'model/model.safetensors.index.json');
    const map = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
    delete map.weight_map['model.norm.weight'];
    writeFileSync(index, JSON.stringify(map));
    const { code, err } = await mglmm(['convert', join(folder.path, 'model'), join(folder.path, 'copy')]);
    assert.equal(code, 1);
    assert.match(err, /model is not whole:\n {2}missing: model\.norm\.weight\n/);
  });
});
