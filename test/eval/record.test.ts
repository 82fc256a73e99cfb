/** The file of an evaluation: what is another's is left as it is, whatever was asked for. */
import { strict as assert } from 'node:assert';
import { linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { afterAll, describe, test } from '@jest/globals';
import { JsonlDataset } from '../../lib';
import { RecordFile } from '../../lib/eval/record';
import { runEvaluation } from '../../lib/eval/run';
import { writeQuestions } from '../support/oracle';
import { temporaryFolder } from '../support/weights';

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

let count = 0;
const fileOf = (content: string) => folder.file(`records-${count++}.jsonl`, content);
const settings = { model: 'a', data: [{ name: 'b', length: 2 }] };
const begun = `${JSON.stringify({ settings })}\n`;

async function contentAfter(path: string, overwrite = false, now: object = settings): Promise<string> {
  await (await RecordFile.open(path, { ...now }, overwrite))[Symbol.asyncDispose]();
  return readFileSync(path, 'utf8');
}

describe('a file of records', () => {
  test('is begun where there is none, where one has nothing, and where its first line was cut', async () => {
    assert.equal(await contentAfter(folder.file('none.jsonl')), begun);
    for (const content of ['', '{"se', '{"settings":{', begun.trimEnd()])
      for (const overwrite of [false, true]) assert.equal(await contentAfter(fileOf(content), overwrite), begun);
  });

  test('loses a last line that was cut off, and all where it is told to', async () => {
    const record = '{"part":0,"index":0,"turns":[]}\n';
    assert.equal(await contentAfter(fileOf(`${begun}${record}{"part":`)), begun + record);
    assert.equal(await contentAfter(fileOf(`${begun}${record}{"part":`), true), begun);
  });

  test("that is another's keeps its bytes, with and without overwrite", async () => {
    const sample = '{"id":"a","conversation":[]}';
    for (const content of [
      sample,
      `${sample}\n`,
      `${sample}\n${sample}`,
      'notes',
      '\n\n',
      '{"settings":3}\n',
      '{"settings":{\n}}\n',
      '\ufeff{',
    ]) {
      for (const overwrite of [false, true]) {
        const path = fileOf(content);
        await assert.rejects(contentAfter(path, overwrite), {
          name: 'DataError',
          message: `${path}:1: has no settings of an evaluation: is it another file? Write elsewhere, or remove it`,
        });
        assert.equal(readFileSync(path, 'utf8'), content);
      }
    }
    mkdirSync(folder.file('folder.jsonl'));
    await assert.rejects(contentAfter(folder.file('folder.jsonl'), true), { name: 'DataError', message: /is no regular file$/ });
  });

  test('with other settings keeps its bytes, a line that was cut among them', async () => {
    const path = fileOf(`${begun}{"part":`);
    await assert.rejects(contentAfter(path, false, { ...settings, model: 'c' }), { name: 'DataError', message: /model was "a", is "c"/ });
    assert.equal(readFileSync(path, 'utf8'), `${begun}{"part":`);
  });

  test('goes on whatever order settings are given in', async () => {
    const turned = { data: [{ length: 2, name: 'b' }], model: 'a', seed: undefined };
    assert.equal(await contentAfter(fileOf(begun), false, turned), begun);
  });
});

test('an evaluation does not write into what it reads, by whatever name', async () => {
  const { path } = await writeQuestions(folder);
  const before = readFileSync(path, 'utf8');
  await using dataset = await JsonlDataset.open(path);
  const [link, hard] = [folder.file('link.jsonl'), folder.file('hard.jsonl')];
  symlinkSync(path, link);
  linkSync(path, hard);
  for (const file of [path, link, hard])
    await assert.rejects(
      runEvaluation(() => assert.fail('opened'), [dataset], file, { overwrite: true }),
      { name: 'ArgumentError', message: `runEvaluation: file is ${file}, where samples are read from, expected another` },
    );
  assert.equal(readFileSync(path, 'utf8'), before);
});
