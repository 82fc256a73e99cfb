import { strict as assert } from 'node:assert';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { decodeImage } from '../../lib';
import { mglmm, type Ran, type RunOptions } from '../support/command';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { published, writeTinyAdapter } from '../support/tiny_adapter';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

interface Record {
  image: string;
  width: number;
  height: number;
  text: string;
  segments: {
    phrase: string;
    span: [number, number];
    box: number[];
    score: number;
    area: number;
    segmentation: { size: number[] };
    file?: string;
  }[];
  usage: { masks: number; newTokens: number };
  timings: { totalMs: number };
  error?: { code: string; message: string };
}

const [golden] = mglmmGoldens() as [MglmmGolden];
const model = tinyModel(golden);
const pictures = temporaryFolder();
const [width, height] = [60, 44];
const first = pictures.file('first.png');

beforeAll(() => {
  for (const [seed, name] of ['first', 'second', 'tenth10', 'tenth9'].entries()) {
    const { data } = picture(width, height, seed);
    writeFileSync(pictures.file(`${name}.png`), encodePng({ width, height, pixels: data }));
  }
  pictures.file('notes.txt', 'no picture');
});
afterAll(() => {
  model[Symbol.dispose]();
  pictures[Symbol.dispose]();
});

const ask = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  mglmm(['answer', ...args, '--model', model.path, '--max-new-tokens', '30', '--force-segmentation'], options);
const linesOf = (text: string): Record[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record);

describe('mglmm answer', () => {
  test('prints the text, and writes the picture with its masks, each mask, and all of it for programs', async () => {
    using folder = temporaryFolder();
    const out = folder.file('out');
    const { code, out: text, err } = await ask([first, 'Where is it?', '--out', out]);
    assert.equal(code, 0, err);
    const record = JSON.parse(readFileSync(join(out, 'answer.json'), 'utf8')) as Record;
    assert.equal(text, record.text === '' ? '' : `${record.text}\n`);
    assert.deepEqual({ image: record.image, width: record.width, height: record.height }, { image: first, width, height });
    assert.ok(record.segments.length > 0 && record.segments.length === record.usage.masks);
    for (const [i, { phrase, span, box, area, segmentation, file }] of record.segments.entries()) {
      assert.equal(record.text.slice(...span), phrase);
      assert.deepEqual(segmentation.size, [height, width]);
      assert.equal(file, `mask_${i}.png`);
      const mask = await decodeImage(join(out, `mask_${i}.png`));
      assert.deepEqual([mask.width, mask.height], [width, height]);
      assert.equal(mask.data.filter((value) => value === 255).length, 3 * area);
      assert.equal(box.length, 4);
    }
    const overlay = await decodeImage(join(out, 'overlay.png'));
    assert.deepEqual([overlay.width, overlay.height], [width, height]);
    assert.match(err, /\d+ masks?, \d+ tokens in [\d.]+ s, the first after [\d.]+ s.*; written to .*out\n/);
    assert.ok(!`${text}${err}`.includes('\x1b'), 'colours where there is no terminal');

    const again = await ask([first, 'Where is it?', '--out', out]);
    assert.equal(again.err, `mglmm: ${join(out, 'answer.json')} is there already: --overwrite replaces it, another --out leaves it\n`);
    const other = folder.file('other');
    mkdirSync(other);
    writeFileSync(join(other, 'overlay.png'), 'drawn by somebody else');
    const refused = await ask([first, 'Where is it?', '--out', other]);
    assert.equal(refused.err, `mglmm: ${join(other, 'overlay.png')} is there already: --overwrite replaces it, another --out leaves it\n`);
    assert.equal(readFileSync(join(other, 'overlay.png'), 'utf8'), 'drawn by somebody else');
    writeFileSync(join(out, 'mask_99.png'), '');
    writeFileSync(join(out, 'mine.txt'), '');
    assert.equal((await ask([first, 'Where is it?', '--out', out, '--overwrite'])).code, 0);
    const masks = record.segments.map((_, i) => `mask_${i}.png`);
    assert.equal(readdirSync(out).sort().join(), ['answer.json', ...masks.sort(), 'mine.txt', 'overlay.png'].join());
  });

  test('is answered by an adapter that is named', async () => {
    using folder = temporaryFolder();
    const adapter = await writeTinyAdapter(golden, folder.file('adapter'), { seed: 1, whole: published });
    const answered = async (...args: string[]) => {
      const { code, out, err } = await ask([first, 'Where is it?', '--json', ...args]);
      assert.equal(code, 0, err);
      return (JSON.parse(out) as Record).text;
    };
    assert.notEqual(await answered('--adapter', adapter), await answered());
    const { code, err } = await ask([first, 'Where is it?', '--json', '--adapter', model.path]);
    assert.equal(code, 1);
    assert.match(err, /has no adapter_config\.json, expected the folder of a PEFT adapter/);
  });

  test('takes folders, and gives each picture a folder and a line', async () => {
    using folder = temporaryFolder();
    const { code, out, err } = await ask([pictures.path, first, 'Where is it?', '--json', '--out', folder.path]);
    assert.equal(code, 0, err);
    const names = ['first', 'second', 'tenth9', 'tenth10', 'first'];
    assert.deepEqual(
      linesOf(out).map(({ image }) => basename(image, '.png')),
      names,
    );
    assert.equal(readdirSync(folder.path).sort().join(), 'first,first-2,second,tenth10,tenth9');
    const texts = linesOf(out).map(({ text, segments }) => JSON.stringify({ text, segments }));
    assert.equal(texts[0], texts[4], 'the same question about the same picture');
    const together = await ask([pictures.path, first, 'Where is it?', '--json', '--batch', '2']);
    assert.deepEqual(
      linesOf(together.out).map(({ text, segments }) => [text, segments.map(({ segmentation }) => segmentation)]),
      linesOf(out).map(({ text, segments }) => [text, segments.map(({ segmentation }) => segmentation)]),
    );
    const shown = await ask([pictures.path, 'Where is it?', '--batch', '3', '--out', folder.file('shown')]);
    assert.equal(shown.out.match(/^.*\.png$/gm)?.length, 4, shown.out);
  });

  test('reads a picture that is piped in', async () => {
    const [line] = linesOf((await ask(['-', 'Where is it?', '--json'], { input: [readFileSync(first)] })).out);
    const [same] = linesOf((await ask([first, 'Where is it?', '--json'])).out);
    assert.deepEqual([line?.image, line?.text], ['-', same?.text]);
    const none = await ask(['-', 'Where is it?']);
    assert.equal(none.err, 'mglmm: - reads a picture from the standard input, but nothing is piped in\n');
    const twice = await ask(['-', '-', 'Where is it?']);
    assert.equal(twice.err, 'mglmm: - is given twice, but there is one standard input\n');
  });

  test('goes on when one of several pictures cannot be read', async () => {
    const bad = pictures.file('notes.txt');
    const { code, out, err } = await ask([bad, first, 'Where is it?', '--json']);
    const lines = linesOf(out);
    assert.deepEqual([code, lines.length, lines[0]?.error?.code, lines[1]?.error], [1, 2, 'MGLMM_IMAGE', undefined]);
    assert.match(err, /^mglmm: \S*notes.txt: image: .* is no picture that is read here.*\nmglmm: 1 of 2 pictures have no answer\n$/);
    const alone = await ask([bad, 'Where is it?']);
    assert.match(alone.err, /^mglmm: image: .* is no picture/);
  });

  test('says at once what is wrong with what it was given', async () => {
    using folder = temporaryFolder();
    mkdirSync(folder.file('empty'));
    assert.match((await ask(['/nowhere.png', 'Where?'])).err, /^mglmm: image: "\/nowhere.png" does not exist\n$/);
    assert.match((await ask([folder.file('empty'), 'Where?'])).err, /^mglmm: \S+ has no pictures, expected files that end with \.jpg/);
    assert.deepEqual(await ask(['only this']), { code: 2, out: '', err: "error: missing required argument 'prompt'\n" });
    assert.deepEqual(await ask([first, ' ']), { code: 2, out: '', err: 'error: the prompt is empty\n' });
    assert.match((await ask([first, 'Where?', '--top-p', '1.5'])).err, /'1\.5' is invalid\. expected a number above 0 to 1\n$/);
    for (const wrong of ['1e-300', '1e300', '-1', 'x']) {
      const { code, err } = await ask([first, 'Where?', '--temperature', wrong]);
      assert.deepEqual([code, err.split('is invalid. ')[1]], [2, 'expected 0, or a number from 1e-5 to 1e5\n'], err);
    }
    assert.match((await ask([first, 'Where?', '--dtype', 'int3'])).err, /Allowed choices are f32, bf16, f16, int8, int4/);
    const device = await mglmm(['answer', first, 'Where?', '--model', model.path, '--device', 'gpu']);
    assert.deepEqual([device.code, device.err], [2, 'mglmm: device is "gpu", expected "cpu", "cuda" or "cuda:" and a number\n']);
    const { code, err } = await mglmm(['answer', first, 'Where?', '--model', '/nowhere']);
    assert.deepEqual([code, err], [1, 'mglmm: there is nothing at /nowhere, expected a file or folder of weights\n']);
    cpSync(first, folder.file('file'));
    assert.match(
      (await ask([first, 'Where?', '--out', join(folder.file('file'), 'out')])).err,
      /cannot be written: \S+file is no folder\n$/,
    );
  });

  test('stops at Ctrl-C and writes nothing', async () => {
    using folder = temporaryFolder();
    const controller = new AbortController();
    const out = folder.file('out');
    const args = ['answer', first, 'Where is it?', '--model', model.path, '--out', out, '--max-new-tokens', '1500', '--temperature', '9'];
    const { code, err } = await mglmm(args, { signal: controller.signal, onWrite: (out) => out !== '' && controller.abort() });
    assert.equal(code, 130);
    assert.match(err, /mglmm: interrupted\n$/);
    assert.equal(readdirSync(folder.path).join(), '');
  });
});
