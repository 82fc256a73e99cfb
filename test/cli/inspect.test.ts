import { strict as assert } from 'node:assert';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
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
