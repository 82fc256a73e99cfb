import { strict as assert } from 'node:assert';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { defaultModel } from '../../lib';
import type { Finding } from '../../lib/cli/findings';
import { mglmm } from '../support/command';
import { goldenFolder } from '../support/golden';
import { temporaryFolder } from '../support/weights';

const tiny = join(goldenFolder, 'mglmm-tiny');
const { vision_tower, llm } = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')) as {
  vision_tower: string;
  llm: { hidden_size: number };
};

interface Inspected {
  readonly family: string;
  readonly parts: Record<string, { tensors: number; dtypes: string[] }>;
  readonly config: { llama?: { dim: number } };
  readonly tokenizer: { readonly files: string[] };
  readonly problems: string[];
  readonly ignored: string[];
}

const inspect = async (...args: string[]): Promise<Inspected> => {
  const { code, out, err } = await mglmm(['inspect', '--json', ...args]);
  assert.equal(code, 0, err);
  return JSON.parse(out) as Inspected;
};

describe('mglmm inspect', () => {
  test('tells family, parts and sizes, for people and for programs', async () => {
    const { family, parts, config, problems } = await inspect(join(tiny, 'checkpoint'));
    assert.equal(family, 'mglmm');
    assert.deepEqual(Object.keys(parts).sort(), ['clip', 'llama', 'projector', 'sam', 'textHiddenFcs']);
    assert.equal(config.llama?.dim, llm.hidden_size);
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      ['tokenizer'],
    );
    const { out } = await mglmm(['inspect', join(tiny, 'checkpoint')]);
    assert.match(out, /checkpoint: mglmm, \d+ files\n\npart +tensors +parameters +size +dtype\nllama +\d+ /);
    assert.match(out, /\nmissing or wrong:\n {2}tokenizer: /);
  });

  test('tells what is missing', async () => {
    const { problems, family, ignored } = await inspect(join(tiny, 'checkpoints/glamm'));
    assert.equal(family, 'glamm');
    assert.ok(problems.includes(`clip: ${vision_tower} is not here; say where with --clip DIR`));
    assert.ok(ignored.some((name) => name.includes('region_encoder')));
    const found = await inspect(join(tiny, 'checkpoints/glamm'), '--clip', join(tiny, vision_tower));
    assert.ok(!found.problems.some((problem) => problem.startsWith('clip')));
  });

  test('tells of a tower alone that nothing is missing', async () => {
    assert.match((await mglmm(['inspect', join(tiny, vision_tower)])).out, /: clip, 1 file\n[\s\S]*nothing is missing\n$/);
    assert.match((await mglmm(['inspect', join(tiny, 'checkpoints/sam.pth')])).out, /: sam, 1 file\n/);
  });

  test('reads the manifest beside a file that it names, and says what it guesses without', async () => {
    using folder = temporaryFolder();
    for (const name of ['model.safetensors', 'tokenizer.model', 'added_tokens.json', 'mglmm.json'])
      cpSync(join(defaultModel, name), folder.file(name));
    const weights = folder.file('model.safetensors');
    const [whole, file] = [await inspect(folder.path), await inspect(weights)];
    assert.deepEqual([file.config, file.problems], [whole.config, []]);
    assert.deepEqual(await inspect(weights), { ...whole, path: weights });
    cpSync(weights, folder.file('other.safetensors'));
    assert.notDeepEqual((await inspect(folder.file('other.safetensors'))).config, whole.config);

    rmSync(folder.file('mglmm.json'));
    const untold = 'no mglmm.json or config.json tells, expected one that does in the folder that is opened';
    const guesses = [
      `llama: 2 heads and 2048 positions are guessed: ${untold}`,
      `clip: 3 heads, and features of layer 5 of 6, are guessed: ${untold}`,
      `sam: 8 heads of the mask decoder are guessed: ${untold}`,
    ];
    assert.deepEqual((await inspect(folder.path)).problems, guesses);
    const verified = await mglmm(['verify', folder.path]);
    assert.equal(verified.code, 1);
    assert.ok(verified.out.includes(`\nshapes  3 wrong\n  ${guesses.join('\n  ')}\n`), verified.out);
    const copied = await mglmm(['convert', folder.path, folder.file('copy')]);
    assert.deepEqual([copied.code, copied.err], [0, guesses.map((guess) => `mglmm: ${folder.path}: ${guess}\n`).join('')]);
    const { findings } = JSON.parse((await mglmm(['doctor', '--json', '--model', folder.path])).out) as { findings: Finding[] };
    assert.deepEqual(
      findings.filter(({ state }) => state === 'bad'),
      guesses.map((found) => ({ what: 'model', found, state: 'bad', fix: `cp FOLDER_OF_THE_MODEL/{mglmm,config}.json ${folder.path}` })),
    );
  });

  test('reads a tokenizer that is elsewhere', async () => {
    using folder = temporaryFolder();
    const model = folder.file('model.safetensors');
    for (const name of ['model.safetensors', 'mglmm.json']) cpSync(join(defaultModel, name), folder.file(name));
    assert.match((await inspect(folder.path)).problems.join(), /^tokenizer: .* has neither tokenizer\.model nor tokenizer\.json/);
    for (const path of [folder.path, model]) {
      const { problems, tokenizer } = await inspect(path, '--tokenizer', defaultModel);
      const files = ['tokenizer.model', 'added_tokens.json'].map((name) => join(defaultModel, name));
      assert.deepEqual([problems, tokenizer.files], [[], files]);
    }
  });

  test('tells that the tokenizer is of another model', async () => {
    using folder = temporaryFolder();
    cpSync(join(tiny, 'checkpoint'), folder.path, { recursive: true });
    cpSync(join(goldenFolder, 'tokenizer/tokenizer.model'), folder.file('tokenizer.model'));
    const { problems } = await inspect(folder.path, '--clip', join(tiny, vision_tower));
    assert.ok(
      problems.some((problem) => /^tokenizer: /.test(problem)),
      problems.join(),
    );
  });
});
