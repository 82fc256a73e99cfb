/** `mglmm eval` from the command line to its page, with the tiny golden model, which knows nothing. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import type { EvaluationScores } from '../../lib';
import { mglmm, type RunOptions } from '../support/command';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { writeQuestions } from '../support/oracle';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const [golden] = mglmmGoldens() as [MglmmGolden];
const model = tinyModel(golden);
afterAll(() => model[Symbol.dispose]());

const evaluate = (args: readonly string[], options: RunOptions = {}) =>
  mglmm(['eval', ...args, '--model', model.path, '--max-new-tokens', '6', '--force-segmentation'], options);

const linesOf = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n');

describe('mglmm eval', () => {
  test('asks the samples of a file, prints a row a task, and writes scores, records and a page', async () => {
    using folder = temporaryFolder();
    const { path } = await writeQuestions(folder);
    const out = folder.file('out');
    const { code, out: table, err } = await evaluate([path, '--out', out]);
    assert.equal(code, 0, err);
    assert.match(table, /^caption +2 +CIDEr \d+\.\d\nconversation +2 +accuracy 0\.0\nrefer +1 +cIoU \d+\.\d +gIoU \d+\.\d/);
    assert.match(table, /^multiple \+ empty +2 +gIoU \(gRefCOCO\) \d+\.\d +N-acc 0\.0 +T-acc 100\.0/m); // it is made to give a mask to every question
    assert.match(err, /^12 samples, 14 answers, .*; written to .*index\.html\n$/m);
    const metrics = JSON.parse(readFileSync(join(out, 'metrics.json'), 'utf8')) as EvaluationScores & Record<string, unknown>;
    assert.deepEqual([metrics.samples, metrics.turns, metrics.model, metrics.data], [12, 14, model.path, [path]]);
    for (const { metrics: scores } of metrics.tasks)
      for (const [name, value] of Object.entries(scores)) assert.ok(value >= 0 && value <= (name === 'CIDEr' ? 10 : 1), `${name} ${value}`);
    const [settings, ...records] = linesOf(join(out, 'samples.jsonl')).map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(settings?.settings);
    assert.deepEqual(
      records.map(({ index }) => index),
      Array.from({ length: 12 }, (_, i) => i),
    );
    for (const [, picture] of readFileSync(join(out, 'index.html'), 'utf8').matchAll(/<img src="([^"]+)"/g))
      assert.ok(existsSync(join(out, picture as string)));
  });

  test('asks scenes of a split, a seed and some tasks, the same each time', async () => {
    using folder = temporaryFolder();
    const scenes = ['scenes', '--split', 'val', '--scenes-seed', '3', '--size', '64', '--tasks', 'refer,conversation', '--json'];
    const ask = async (out: string, ...more: string[]) => {
      const { code, out: json, err } = await evaluate([...scenes, '--out', folder.file(out), ...more]);
      assert.equal(code, 0, err);
      return JSON.parse(json) as EvaluationScores & { data: string[] };
    };
    const scores = await ask('one', '--limit', '4');
    assert.deepEqual([scores.samples, scores.data], [4, ['scenes of val, seed 3']]);
    const several = await ask('several', '--limit', '4', '--scenes-seed', '3,4');
    assert.deepEqual([several.samples, several.data], [8, ['scenes of val, seed 3', 'scenes of val, seed 4']]);
    for (const { task } of scores.tasks) assert.ok(['refer', 'conversation'].includes(task), task);
    assert.deepEqual(await ask('two', '--limit', '4', '--batch', '1'), scores);
    // More of the same goes on from there, and fewer are scored alone.
    assert.equal((await ask('one', '--limit', '6')).samples, 6);
    assert.deepEqual(await ask('one', '--limit', '4'), scores);
    assert.equal(linesOf(join(folder.file('one'), 'samples.jsonl')).length, 1 + 6);
  });

  test('goes on after Ctrl-C, and not with other settings', async () => {
    using folder = temporaryFolder();
    const { path } = await writeQuestions(folder);
    const [out, whole] = [folder.file('out'), folder.file('whole')];
    const controller = new AbortController();
    const running = evaluate([path, '--out', out, '--batch', '1'], { signal: controller.signal });
    const file = join(out, 'samples.jsonl');
    while (!existsSync(file) || linesOf(file).length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    const stopped = await running;
    assert.deepEqual([stopped.code, stopped.err.endsWith('mglmm: interrupted\n')], [130, true], stopped.err);
    const other = await evaluate([path, '--out', out, '--seed', '5']);
    assert.match(other.err, /^mglmm: .*samples\.jsonl: was begun with other settings: answers was .*; write elsewhere, or over it$/m);
    assert.equal((await evaluate([path, '--out', out])).code, 0);
    await evaluate([path, '--out', whole]);
    assert.deepEqual(linesOf(file), linesOf(join(whole, 'samples.jsonl')));
    assert.equal((await evaluate([path, '--out', out, '--seed', '5', '--overwrite'])).code, 0);
  });

  test('says what is wrong with what it was given', async () => {
    using folder = temporaryFolder();
    const out = ['--out', folder.file('out')];
    assert.match((await evaluate(['/nowhere.jsonl', ...out])).err, /^mglmm: \/nowhere\.jsonl: does not exist\n$/);
    assert.match((await evaluate([folder.file('empty.jsonl', ''), ...out])).err, /^mglmm: there are no samples\n$/);
    assert.match((await evaluate(['scenes', '--split', 'best', ...out])).err, /Allowed choices are val, test, unseen/);
    assert.match((await evaluate(['scenes', '--tasks', 'sing', ...out])).err, /^mglmm: scenes: tasks has sing, expected caption, /);
    const file = folder.file('some.jsonl', '{}\n');
    assert.match(
      (await evaluate([file, '--tasks', 'refer', ...out])).err,
      /^mglmm: eval: --tasks is given, which means nothing to .*some\.jsonl\n$/,
    );
    assert.match(
      (await evaluate(['scenes', '--images', '.', ...out])).err,
      /^mglmm: eval: --images is given, which means nothing to scenes\n$/,
    );
    assert.ok(!existsSync(folder.file('out')));
    const samples = folder.file('samples.jsonl', '{}\n');
    assert.match(
      (await evaluate([samples, '--out', folder.path, '--overwrite'])).err,
      /file is .*samples\.jsonl, where samples are read from/,
    );
    assert.equal(readFileSync(samples, 'utf8'), '{}\n');
    const { code, err } = await evaluate([file, ...out]);
    assert.ok(code === 1 && err.includes('mglmm: no sample could be asked'), err);
  });
});
