import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import { Mglmm } from '../../lib';
import { mglmm, type Ran } from '../support/command';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const [golden] = mglmmGoldens() as [MglmmGolden];
const model = tinyModel(golden);
const folder = temporaryFolder();
const image = (name: string, seed: number) => {
  const { data, width, height } = picture(44, 60, seed);
  return folder.file(name, encodePng({ width, height, pixels: data }));
};
const [first, second] = [image('first.png', 1), image('second.png', 2)];
afterAll(() => {
  model[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const talk = (lines: readonly string[], path = first): Promise<Ran> =>
  mglmm(['chat', path, '--model', model.path, '--max-new-tokens', '20', '--constrained'], { input: lines.map((line) => `${line}\n`) });

describe('mglmm chat', () => {
  test('answers each question behind those before it', async () => {
    const options = { maxNewTokens: 20, constrained: true };
    await using library = await Mglmm.load(model.path);
    await using chat = library.chat({ image: first, ...options });
    const expected = [(await chat.ask('Where is it?', options)).text, (await chat.ask('And the rest?', options)).text];
    const { code, out, err } = await talk(['Where is it?', '', 'And the rest?', '/quit', 'never asked']);
    assert.equal(code, 0, err);
    assert.equal(out, expected.map((text) => (text === '' ? '' : `${text}\n`)).join(''));
    assert.equal(err.match(/tokens in/g)?.length, 2, err);
  });

  test('turns to another picture, and writes what was answered last', async () => {
    const saved = folder.file('saved');
    const { code, err } = await talk([
      'Where is it?',
      `/image ${second}`,
      '/save',
      'Where is it?',
      `/save ${saved}`,
      `/save ${saved}`,
      '/new',
      '/help',
    ]);
    assert.equal(code, 0, err);
    const { image: path, prompt } = JSON.parse(readFileSync(join(saved, 'answer.json'), 'utf8')) as { image: string; prompt: string };
    assert.deepEqual([path, prompt], [second, 'Where is it?']);
    assert.ok(readdirSync(saved).includes('overlay.png'));
    const lines = err.split('\n');
    for (const line of [
      '/save writes the last answer, and there is none',
      `written to ${saved}`,
      `${join(saved, 'answer.json')} is there already: --overwrite replaces it, another --out leaves it`,
    ])
      assert.ok(lines.includes(line), err);
    assert.match(err, /^\/quit +end; so does Ctrl-D/m);
  });

  test('goes on after what it cannot do', async () => {
    const notes = folder.file('notes.txt');
    writeFileSync(notes, 'no picture');
    const { code, out, err } = await talk([
      '/bogus',
      '/image',
      '/image /nowhere.png',
      `/image ${notes}`,
      'x'.repeat(40_000),
      'Where is it?',
    ]);
    assert.equal(code, 0, err);
    assert.match(
      err,
      /^\/bogus is no command; \/help says what can be done\n\/image wants the path of a picture\nimage: "\/nowhere.png" does not exist\n/,
    );
    assert.match(err, /is no picture that is read here/);
    assert.match(err, /the conversation has 40000 characters, expected at most/);
    assert.equal(out.split('\n').length, 2, out);
  });

  test('wants one picture that is a file', async () => {
    assert.equal((await talk([], '-')).err, 'mglmm: chat reads questions from the standard input, expected a file of a picture\n');
    assert.equal((await talk([], folder.path)).err, `mglmm: ${folder.path} is a folder of pictures, expected one picture\n`);
    assert.equal(
      (await mglmm(['chat', first, '--model', model.path])).err,
      'mglmm: chat reads questions from the standard input, and there is none\n',
    );
  });

  test('ends at Ctrl-C', async () => {
    const controller = new AbortController();
    async function* lines() {
      yield 'Where is it?\n';
      await new Promise(() => {});
    }
    const args = ['chat', first, '--model', model.path, '--max-new-tokens', '20'];
    const { code, err } = await mglmm(args, {
      input: lines(),
      signal: controller.signal,
      onWrite: (_, err) => err.includes('tokens in') && controller.abort(),
    });
    assert.equal(code, 130);
    assert.match(err, /mglmm: interrupted\n$/);
  });
});
