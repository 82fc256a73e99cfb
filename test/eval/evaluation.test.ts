/** Evaluations of a model whose answers are known: scores, records that go on, faults, the page. */
import { strict as assert } from 'node:assert';
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { ArgumentError, ImageError, JsonlDataset, KernelError, LengthError, OutOfMemoryError } from '../../lib';
import type { Answering } from '../../lib/eval/ask';
import { writePage } from '../../lib/eval/page';
import { readRecords, type SampleRecord } from '../../lib/eval/record';
import { type EvaluationOptions, runEvaluation } from '../../lib/eval/run';
import { turnValue } from '../../lib/eval/scorers';
import { type EvaluationScores, scoresOf } from '../../lib/eval/scores';
import { columns, type Known, Oracle, writeQuestions } from '../support/oracle';
import { badLines } from '../support/samples';
import { temporaryFolder } from '../support/weights';

type Spoil = (question: string, known: Known) => Known;

interface Run {
  readonly oracle: Oracle;
  readonly scores: EvaluationScores;
  readonly records: SampleRecord[];
}

async function recordsOf(file: string): Promise<SampleRecord[]> {
  const records: SampleRecord[] = [];
  for await (const record of readRecords(file)) records.push(record);
  return records;
}

/** Asks an oracle all questions. */
async function evaluate(
  folder: ReturnType<typeof temporaryFolder>,
  spoil?: Spoil,
  options: EvaluationOptions = {},
  wrap = (oracle: Answering): Answering => oracle,
): Promise<Run> {
  const { path, samples } = await writeQuestions(folder);
  await using dataset = await JsonlDataset.open(path);
  const oracle = new Oracle(samples, spoil);
  const file = folder.file('samples.jsonl');
  await runEvaluation(wrap(oracle), [dataset], file, options);
  const records = await recordsOf(file);
  return { oracle, records, scores: await scoresOf(records) };
}

const metricsOf = ({ tasks }: EvaluationScores, task: string) => tasks.find((one) => one.task === task)?.metrics ?? {};
const near = (actual: number | undefined, wanted: number, what: string) =>
  assert.ok(Math.abs((actual ?? Number.NaN) - wanted) <= 1e-4, `${what} is ${actual}, expected ${wanted}`);

describe('scores', () => {
  test('of a model that knows all are full', async () => {
    using folder = temporaryFolder();
    const { scores, records } = await evaluate(folder);
    assert.deepEqual(
      scores.tasks.map(({ task }) => task),
      'caption,conversation,refer,semantic,instance,panoptic,multiple,empty,multiple + empty,reason,gcg,mgsc,mgsc: scene,mgsc: parts'.split(
        ',',
      ),
    );
    for (const { task, metrics } of scores.tasks) {
      assert.ok(Object.keys(metrics).length > 0, task);
      for (const [name, value] of Object.entries(metrics)) if (name !== 'CIDEr') near(value, 1, `${name} of ${task}`);
    }
    near(metricsOf(scores, 'caption').CIDEr, 10, 'CIDEr');
    const { samples, turns, faults, unanswered, cut, malformed } = scores;
    assert.deepEqual({ samples, turns, faults, unanswered, cut, malformed }, { ...none, samples: 12, turns: 14 });
    for (const { turns } of records) for (const { value } of turns) near(value, 1, 'value');
  });

  test('of a model that says nothing are none, but for what is not there', async () => {
    using folder = temporaryFolder();
    const { scores, records } = await evaluate(folder, () => ({ answer: '', masks: [] }));
    for (const { task, metrics } of scores.tasks)
      for (const [name, value] of Object.entries(metrics)) {
        const isRight = task === 'empty' || name === 'N-acc';
        if (task !== 'multiple + empty' || name === 'N-acc') near(value, isRight ? 1 : 0, `${name} of ${task}`);
      }
    near(metricsOf(scores, 'multiple + empty')['gIoU (gRefCOCO)'], 0.5, 'gIoU');
    for (const { task, turns } of records) for (const { value } of turns) near(value, Number(task === 'empty'), `value of ${task}`);
  });

  test('of a model that sees what is not there, and half of what is', async () => {
    using folder = temporaryFolder();
    const spoil: Spoil = (question, known) => {
      if (question.includes('aeroplane')) return { answer: 'Here is <p> it </p> [SEG].', masks: [columns(0, 6)] };
      if (question.includes('the dog and the hat')) return { answer: '<p> the dog </p> [SEG]', masks: [columns(0, 12)] };
      if (question.includes('car')) return { ...known, masks: [columns(14, 22)] };
      if (question.includes('parts')) return { answer: '<p> a door </p> [SEG], <p> a roof </p> [SEG]', masks: known.masks };
      return known;
    };
    const { scores } = await evaluate(folder, spoil);
    const both = metricsOf(scores, 'multiple + empty');
    near(both.cIoU, 12 / (12 + 17 + 6), 'cIoU');
    near(both['gIoU (gRefCOCO)'], 12 / 29 / 2, 'gIoU');
    assert.deepEqual([both['N-acc'], both['T-acc']], [0, 1]);
    near(metricsOf(scores, 'refer').cIoU, 0.5, 'cIoU');
    const parts = metricsOf(scores, 'mgsc: parts');
    // Masks are right, and each has the phrase of the other.
    near(parts.mIoU, 1, 'mIoU');
    near(parts.recall, 0, 'recall');
    near(metricsOf(scores, 'mgsc: scene').recall, 1, 'recall');
  });

  test('of a task of another name follow its sample: masks where any question asks for one, else words', async () => {
    const size = [36, 48] as const;
    const turn = { question: '?', ids: [], repairs: [], segments: [] };
    const sample = (index: number, truths: readonly [string, boolean][]): SampleRecord => ({
      ...{ part: 0, index, id: `${index}`, task: 'ours', size },
      turns: truths.map(([truth, hasMask]) => ({ ...turn, truth, answer: 'No.', truthMasks: hasMask ? [columns(0, 6)] : [], value: 0 })),
    });
    const [masks] = (
      await scoresOf([
        sample(0, [
          ['No.', false],
          ['<p> it </p> [SEG]', true],
        ]),
      ])
    ).tasks;
    assert.deepEqual([masks?.metrics.cIoU, masks?.metrics['N-acc'], masks?.metrics['T-acc']], [0, 1, 0]);
    const [words] = (
      await scoresOf([
        sample(0, [
          ['No.', false],
          ['Yes.', false],
        ]),
      ])
    ).tasks;
    assert.equal(words?.metrics.accuracy, 1 / 2);
    assert.equal(turnValue('ours', true, size, { ...turn, truth: 'No.', answer: 'Yes.', truthMasks: [] }), 1);
  });

  test('take phrases for alike as they are told', async () => {
    using folder = temporaryFolder();
    const { records } = await evaluate(folder);
    const { tasks } = await scoresOf(records, { similarity: (truth) => Number(truth.includes('dog')) });
    assert.equal(tasks.find(({ task }) => task === 'gcg')?.metrics['recall (all pairs)'], 1 / 2);
  });

  test('take several masks of a phrase as one thing that is looked for, and count what is malformed', async () => {
    using folder = temporaryFolder();
    const spoil: Spoil = (question, known) =>
      question.includes('car') ? { answer: '<p> the car [SEG] [SEG]', masks: [columns(14, 20), columns(20, 30)] } : known;
    const { scores, records } = await evaluate(folder, spoil);
    near(metricsOf(scores, 'refer').cIoU, 1, 'cIoU');
    assert.equal(scores.malformed, 1);
    assert.deepEqual(scores.repairs, { unclosed_phrase: 1, extra_seg: 1 });
    const turn = records.find(({ task }) => task === 'refer')?.turns[0];
    assert.deepEqual(turn?.repairs, ['unclosed_phrase', 'extra_seg']);
  });
});

const none = { samples: 0, turns: 0, faults: 0, unanswered: 0, cut: 0, malformed: 0 };

describe('categories', () => {
  const size = [36, 48] as const;
  /** `names` of thirds of the picture, of which the model finds `found`. */
  const record = (index: number, names: readonly string[], found: readonly string[]): SampleRecord => {
    const said = (phrases: readonly string[]) => phrases.map((phrase) => `<p> ${phrase} </p> [SEG]`).join(', ');
    const third = (i: number) => columns(16 * i, 16 * (i + 1));
    const segments = found.map((phrase, i) => ({ phrase, span: [0, 0] as const, score: 1, segmentation: third(i) }));
    const turn = {
      question: '?',
      truth: said(names),
      truthMasks: names.map((_, i) => third(i)),
      answer: '',
      segments,
      ids: [],
      repairs: [],
    };
    return { part: 0, index, id: `${index}`, task: 'semantic', size, turns: [turn] };
  };
  const records = [record(0, ['car', 'chair leg'], ['car', 'spaceship']), record(1, ['car', 'chair'], ['car', 'chair'])];

  test('that are known make of any other name nothing, and parts a score of their own', async () => {
    const categories = [{ name: 'car' }, { name: 'chair' }, { name: 'chair leg', isPart: true }];
    const [semantic] = (await scoresOf(records, { categories })).tasks;
    assert.deepEqual(semantic?.metrics, { mIoU: 1, 'mIoU (parts)': 0 });
  });

  test('that nobody knows are whatever is named, and one that is made up costs its share', async () => {
    const [semantic] = (await scoresOf(records)).tasks;
    assert.deepEqual(semantic?.metrics, { mIoU: 2 / 4 });
  });
});

describe('questions', () => {
  test('that are refused are asked one by one, and scored as if nothing was said', async () => {
    using folder = temporaryFolder();
    const refusing = (oracle: Answering): Answering => ({
      chat: (options) => oracle.chat(options),
      answerAll: async (questions, options) => {
        if (questions.some(({ prompt }) => prompt.includes('car'))) throw new LengthError('the prompt is too long');
        return oracle.answerAll(questions, options);
      },
    });
    const { scores, records } = await evaluate(folder, undefined, {}, refusing);
    assert.equal(scores.unanswered, 1);
    near(metricsOf(scores, 'refer').cIoU, 0, 'cIoU');
    near(metricsOf(scores, 'reason').cIoU, 1, 'cIoU');
    assert.equal(records.find(({ task }) => task === 'refer')?.turns[0]?.error, 'the prompt is too long');
  });

  test('of samples that are bad are not asked: each is a record that says why', async () => {
    using folder = temporaryFolder();
    const bad = await badLines(folder);
    const path = folder.file('bad.jsonl', `${bad.map(([, line]) => line).join('\n')}\n`);
    await using dataset = await JsonlDataset.open(path);
    const file = folder.file('samples.jsonl');
    const oracle = new Oracle([]);
    await runEvaluation(oracle, [dataset], file);
    const records = await recordsOf(file);
    assert.equal(records.length, bad.length);
    for (const { fault, turns } of records) assert.ok(fault && turns.length === 0);
    assert.deepEqual(oracle.asked, []);
    const { faults, samples, tasks } = await scoresOf(records);
    assert.deepEqual([faults, samples, tasks], [bad.length, 0, []]);
  });

  test('of a model that fails in another way end the run', async () => {
    using folder = temporaryFolder();
    const failing = (): Answering => ({
      chat: () => assert.fail(),
      answerAll: () => Promise.reject(new TypeError('a bug')),
    });
    await assert.rejects(evaluate(folder, undefined, {}, failing), { message: 'a bug' });
    // Nor is it the model's answer that there is no memory left.
    for (const error of [new OutOfMemoryError('full'), new KernelError('lost'), new ArgumentError('no masks')]) {
      const ending = (): Answering => ({ chat: () => assert.fail(), answerAll: () => Promise.reject(error) });
      await assert.rejects(evaluate(folder, undefined, {}, ending), error);
    }
    const gone = (): Answering => ({ chat: () => assert.fail(), answerAll: () => Promise.reject(new ImageError('not this one')) });
    assert.ok((await evaluate(folder, undefined, { limit: 2 }, gone)).scores.unanswered === 2);
  });
});

describe('a run', () => {
  test('goes on where it was stopped, a cut line left out, and asks nothing twice', async () => {
    using folder = temporaryFolder();
    const whole = await evaluate(folder);
    const file = folder.file('samples.jsonl');
    const bytes = readFileSync(file);
    using other = temporaryFolder();
    const controller = new AbortController();
    const stopping = evaluate(other, undefined, {
      signal: controller.signal,
      batch: 2,
      onProgress: ({ done }) => done >= 4 && controller.abort(),
    });
    await assert.rejects(stopping, { name: 'AbortedError' });
    const begun = other.file('samples.jsonl');
    assert.equal((await recordsOf(begun)).length, 4);
    appendFileSync(begun, readFileSync(begun).subarray(-200, -100));
    const told: number[] = [];
    const rest = await evaluate(other, undefined, { batch: 3, onProgress: ({ done }) => told.push(done) });
    assert.deepEqual(told, [4, 7, 10, 12]);
    assert.deepEqual(new Set(rest.oracle.asked), new Set(whole.oracle.asked.slice(5))); // the third sample has two questions
    assert.deepEqual(rest.records, whole.records);
    assert.deepEqual(rest.scores, whole.scores);
    truncateSync(begun, 10); // within the settings
    assert.deepEqual((await evaluate(other)).records, whole.records);
    assert.ok(bytes.length > 0);
  });

  test('that would ask nothing is refused, and a file that is none', async () => {
    using folder = temporaryFolder();
    const { path } = await writeQuestions(folder);
    await using dataset = await JsonlDataset.open(path);
    const run = (options: EvaluationOptions, file = folder.file('none.jsonl'), parts = [dataset]) =>
      runEvaluation(() => assert.fail('opened'), parts, file, options);
    await assert.rejects(run({ limit: Number.NaN }), { message: 'runEvaluation: limit is NaN, expected a whole number from 1' });
    await assert.rejects(run({ batch: 0 }), { name: 'ArgumentError', message: /batch is 0/ });
    await assert.rejects(run({}, undefined, []), { name: 'ArgumentError', message: /parts is empty/ });
    await assert.rejects(run({}, join(path, 'in a file.jsonl')), { name: 'DataError', message: /cannot be written/ });
    await assert.rejects(recordsOf(folder.file('none.jsonl')), { name: 'DataError', message: /none\.jsonl: cannot be read/ });
  });

  test('does not open a model that has nothing to do', async () => {
    using folder = temporaryFolder();
    const { path } = await writeQuestions(folder);
    await evaluate(folder);
    await using dataset = await JsonlDataset.open(path);
    await runEvaluation(() => assert.fail('opened'), [dataset], folder.file('samples.jsonl'));
  });

  test('does not go on with other settings, unless it is told to begin again', async () => {
    using folder = temporaryFolder();
    await evaluate(folder, undefined, { settings: { model: 'a' }, maxNewTokens: 9 });
    await assert.rejects(evaluate(folder, undefined, { settings: { model: 'b' }, maxNewTokens: 9 }), {
      name: 'DataError',
      message: /samples\.jsonl: was begun with other settings: model was "a", is "b"; write elsewhere, or over it$/,
    });
    await assert.rejects(evaluate(folder, undefined, { settings: { model: 'a' } }), { message: /answers was {"maxNewTokens":9}, is {}/ });
    const { oracle } = await evaluate(folder, undefined, { settings: { model: 'b' }, overwrite: true });
    assert.equal(oracle.asked.length, 14);
    writeFileSync(folder.file('samples.jsonl'), '{"id":"something else"}\n');
    await assert.rejects(evaluate(folder), { name: 'DataError', message: /:1: has no settings of an evaluation/ });
  });
});

describe('the page', () => {
  test('shows the worst and the best of each task, and lets no text be markup', async () => {
    using folder = temporaryFolder();
    const spoil: Spoil = (question, known) => {
      if (question.includes('one dry')) return { answer: '<script>alert(1)</script> & <p> it </p> [SEG]', masks: [columns(1, 2)] };
      return question.includes('Which colour') ? { answer: 'White.', masks: [] } : known;
    };
    const { scores } = await evaluate(folder, spoil);
    const { path } = await writeQuestions(folder);
    await using dataset = await JsonlDataset.open(path);
    const shown = await writePage(folder.file('page'), readRecords(folder.file('samples.jsonl')), [dataset], scores, {
      title: 'A & B',
      about: '<b>',
      shown: 1,
    });
    const html = readFileSync(shown, 'utf8');
    assert.equal(html.match(/<article /g)?.length, 12); // of 11 tasks; the best answer of a conversation is not its worst
    assert.ok(!html.includes('<script>alert') && html.includes('&lt;script>alert(1)&lt;/script> &amp; <mark'));
    assert.ok(html.includes('<title>A &amp; B</title>') && html.includes('&lt;b>'));
    assert.ok(!/(src|href)="(https?:)?\/\//.test(html), 'it fetches something');
    const pictures = [...html.matchAll(/<img src="([^"]+)"/g)].map(([, file]) => join(folder.path, 'page', file as string));
    assert.ok(pictures.length > 12);
    for (const file of pictures) assert.ok(existsSync(file), file);
    const values = [...html.matchAll(/data-value="([^"]+)"/g)].map(([, value]) => Number(value));
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
  });
});
