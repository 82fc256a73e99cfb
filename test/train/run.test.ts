import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import {
  type BatchSource,
  findSnapshot,
  type RunEvent,
  type RunOptions,
  runTraining,
  Trainer,
  type TrainerOptions,
  verifySnapshot,
} from '../../lib';
import { noteBest } from '../../lib/train/snapshot';
import { onEveryDevice } from '../support/devices';
import { scalarsIn } from '../support/event_file';
import { wordAt } from '../support/random';
import { tinySample, tinySource, tinyTrainable } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

const samples = Array.from({ length: 5 }, (_, i) => tinySample(i));

interface Ran {
  readonly events: RunEvent[];
  readonly values: Map<string, ArrayLike<number>>;
  readonly result: Awaited<ReturnType<typeof runTraining>>;
}

async function run(
  folder: string,
  { onBadSample, ...options }: Partial<RunOptions> & Pick<TrainerOptions, 'onBadSample'> & { steps: number },
  onEvent?: (event: RunEvent) => void,
): Promise<Ran> {
  const tokenizer = join(folder, 'tokenizer');
  mkdirSync(tokenizer, { recursive: true });
  using opened = await tinyTrainable(tokenizer);
  using trainer = new Trainer(opened.model, opened.speech, { schedule: (step) => 1e-2 / (1 + step), onBadSample });
  const events: RunEvent[] = [];
  const result = await runTraining({
    trainer,
    source: tinySource(samples),
    output: join(folder, 'run'),
    accumulation: 2,
    snapshots: { every: 2, keepLast: 2 },
    ...options,
    onEvent: (event) => {
      events.push(event);
      onEvent?.(event);
    },
  });
  const values = new Map<string, ArrayLike<number>>();
  for (const [key, parameter] of opened.model.namedParameters()) values.set(key, await parameter.read());
  return { events, values, result };
}

const lossesOf = ({ events }: Pick<Ran, 'events'>) => events.flatMap((event) => (event.type === 'step' ? [event.report.loss] : []));
const namesIn = (folder: string) => Array.from(readdirSync(join(folder, 'run/snapshots'))).sort();
const logOf = (folder: string) =>
  readFileSync(join(folder, 'run/log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; step: number; loss: number });

onEveryDevice('runTraining', (device) => {
  test('tells its steps, keeps the last snapshots and the best, draws the losses', async () => {
    using folder = temporaryFolder();
    const evaluation = { source: tinySource(samples.slice(3)), every: 3, batches: 2, metric: 'giou' } as const;
    const { events, result } = await run(folder.path, { steps: 8, evaluation });
    assert.equal(lossesOf({ events }).length, 8);
    const evaluations = events.filter((event) => event.type === 'evaluation');
    assert.deepEqual(
      evaluations.map(({ step }) => step),
      [3, 6, 8],
    );
    assert.ok(evaluations.every(({ evaluation: { giou, ciou, masks } }) => masks > 0 && giou >= 0 && giou <= 1 && ciou >= 0 && ciou <= 1));
    const best = evaluations.reduce((a, b) => (b.evaluation.giou > a.evaluation.giou ? b : a));
    assert.deepEqual(result.best, { step: best.step, value: best.evaluation.giou });
    const kept = new Set(['step-00000006', 'step-00000008', `step-0000000${best.step}`]);
    assert.deepEqual(namesIn(folder.path), [...kept].sort());
    assert.deepEqual(
      logOf(folder.path).map(({ kind, step }) => `${kind} ${step}`),
      ['step 0', 'step 1', 'step 2', 'evaluation 3', 'step 3', 'step 4', 'step 5', 'evaluation 6', 'step 6', 'step 7', 'evaluation 8'],
    );
    assert.equal(readFileSync(result.chart).toString('latin1', 1, 4), 'PNG');
    const [file, ...more] = readdirSync(join(folder.path, 'run/events'));
    assert.deepEqual(more, []);
    const told = scalarsIn(readFileSync(join(folder.path, 'run/events', file as string)));
    const log = logOf(folder.path);
    const inEvents = (tag: string) => told.filter((one) => one.tag === tag).map(({ step, value }) => [step, value]);
    const inLog = (kind: string) => log.filter((line) => line.kind === kind).map(({ step, loss }) => [step, Math.fround(loss)]);
    assert.deepEqual(inEvents('train/loss'), inLog('step'));
    assert.deepEqual(inEvents('val/loss'), inLog('evaluation'));
    assert.equal(inEvents('val/giou').length, 3);
    assert.equal(inEvents('metrics/total_secs_per_batch').length, 8);
  });

  test('stops at a signal with a snapshot, and goes on as if it had not been', async () => {
    using whole = temporaryFolder();
    using halves = temporaryFolder();
    const expected = await run(whole.path, { steps: 7 });
    const controller = new AbortController();
    const stop = (event: RunEvent) => event.type === 'step' && event.report.step === 2 && controller.abort();
    await assert.rejects(run(halves.path, { steps: 7, signal: controller.signal }, stop), {
      name: 'AbortedError',
      message: 'training was stopped after step 3 of 7; it goes on with resume',
    });
    appendFileSync(join(halves.path, 'run/log.jsonl'), '{"kind":"step","step":3,"loss":1}\n{"kind":"st'); // as if it had been killed later
    const rest = await run(halves.path, { steps: 7, resume: true });
    assert.equal(rest.events[0]?.type === 'resumed' && rest.events[0].step, 3);
    assert.deepEqual(lossesOf(rest), lossesOf(expected).slice(3));
    for (const [key, values] of expected.values) assert.deepEqual(rest.values.get(key), values, key);
    assert.deepEqual(rest.result.counts, expected.result.counts);
    assert.deepEqual(
      logOf(halves.path).map(({ loss }) => loss),
      lossesOf(expected),
    );
  });

  test('sees that a snapshot is damaged, and goes on from the one before', async () => {
    using folder = temporaryFolder();
    const { values } = await run(folder.path, { steps: 6 });
    const snapshots = join(folder.path, 'run/snapshots');
    assert.deepEqual(namesIn(folder.path), ['step-00000004', 'step-00000006']);
    const weights = join(snapshots, 'step-00000006/model.safetensors');
    const intact = readFileSync(weights);
    const about = join(snapshots, 'step-00000006/snapshot.json');
    const said = readFileSync(about, 'utf8');
    const damages: [() => void, RegExp][] = [
      [() => truncateSync(weights, intact.length - 1), /model\.safetensors has \d+ bytes, expected \d+: it is cut off/],
      [
        () => writeFileSync(weights, Buffer.concat([intact.subarray(0, -1), Buffer.from([1])])),
        /is not what was written: its hash is another/,
      ],
      [() => rmSync(weights), /model\.safetensors cannot be read/],
      [() => truncateSync(about, said.length - 1), /snapshot\.json is cut off or changed: it is not JSON/],
      [() => writeFileSync(about, said.replace('"step":6', '"step":5')), /snapshot\.json is not what was written/],
      [() => writeFileSync(about, '{}'), /snapshot\.json is of another kind/],
      [() => rmSync(about), /snapshot\.json cannot be read/],
    ];
    for (const [damage, message] of damages) {
      damage();
      await assert.rejects(verifySnapshot(join(snapshots, 'step-00000006')), { name: 'TrainingError', message });
      const found = await findSnapshot(snapshots);
      assert.equal(found?.state.step, 4);
      assert.match(found?.damaged[0]?.message ?? '', message);
      writeFileSync(weights, intact);
      writeFileSync(about, said);
    }
    truncateSync(weights, 100);
    mkdirSync(join(snapshots, '.step-00000009-partial-1-2'));
    const again = await run(folder.path, { steps: 6, resume: true });
    assert.deepEqual(lossesOf(again).length, 2);
    for (const [key, expected] of values) assert.deepEqual(again.values.get(key), expected, key);
    assert.deepEqual(namesIn(folder.path), ['damaged-step-00000006', 'step-00000004', 'step-00000006']);
    for (const name of namesIn(folder.path)) truncateSync(join(snapshots, name, 'model.safetensors'), 100);
    await assert.rejects(run(folder.path, { steps: 6, resume: true }), {
      name: 'TrainingError',
      message: /has 2 snapshots and none is whole: .*step-00000006.*cut off/,
    });
  });

  test('keeps the steps that were done when a sample, or an evaluation, ends it', async () => {
    using folder = temporaryFolder();
    const failing = (at: number): BatchSource => ({
      ...tinySource(samples),
      batch: async (index) => (index === at ? Promise.reject(new Error('no disk')) : tinySource(samples).batch(index)),
    });
    const options = { steps: 6, accumulation: 1, snapshots: { every: 10, keepLast: 2 } };
    await assert.rejects(run(folder.path, { ...options, source: failing(3) }), /no disk/);
    assert.deepEqual(namesIn(folder.path), ['step-00000003']);
    const evaluation = { source: failing(0), every: 5, batches: 1, metric: 'loss' } as const;
    await assert.rejects(run(folder.path, { ...options, evaluation, resume: true }), /no disk/);
    assert.deepEqual(namesIn(folder.path), ['step-00000003', 'step-00000005']);
    const { events } = await run(folder.path, { ...options, resume: true });
    assert.deepEqual([events[0]?.type === 'resumed' && events[0].step, lossesOf({ events }).length], [5, 1]);
  });

  test('evaluates when it goes on what it was stopped in, after a snapshot that says what is best', async () => {
    using folder = temporaryFolder();
    const controller = new AbortController();
    const held = tinySource(samples.slice(1));
    const stopping: BatchSource = {
      ...held,
      batch: async (index) => {
        controller.abort();
        return held.batch(index);
      },
    };
    const evaluation = { source: held, every: 2, batches: 2, metric: 'giou' } as const;
    const options = { steps: 3, accumulation: 1, evaluation };
    const stopped = run(folder.path, { ...options, evaluation: { ...evaluation, source: stopping }, signal: controller.signal });
    await assert.rejects(stopped, /stopped after step 2 of 3/);
    const evaluated = ({ events }: Ran) => events.flatMap((event) => (event.type === 'evaluation' ? [event.step] : []));
    assert.deepEqual(evaluated(await run(folder.path, { ...options, resume: true })), [2, 3]);
    const { state } = (await findSnapshot(join(folder.path, 'run/snapshots'))) ?? {};
    assert.ok(state?.best);
    assert.deepEqual(evaluated(await run(folder.path, { ...options, steps: 4, resume: true })), [4]);
    const [last = ''] = readdirSync(join(folder.path, 'run/events')).filter((name) => name.endsWith('.3'));
    const told = scalarsIn(readFileSync(join(folder.path, 'run/events', last))).filter(({ tag }) => tag === 'val/loss');
    assert.deepEqual(
      told.map(({ step }) => step),
      [3, 4],
    );
    assert.equal(told[0]?.value, Math.fround(logOf(folder.path).find(({ kind, step }) => kind === 'evaluation' && step === 3)?.loss ?? 0));
  });

  test('ends when no sample can be trained on, however many are to be skipped', async () => {
    const bad = [tinySample(0, { answer: '' })];
    const why = 'sample sample 0: conversation[0] has an empty answer, expected what is to be said';
    for (const [steps, message] of [
      [200, `training: the last 100 of 100 steps changed nothing: ${why}`],
      [3, 'training: 3 steps changed nothing: they had no sample to train on, or no finite gradient'],
    ] as const) {
      using folder = temporaryFolder();
      const source = tinySource(bad);
      await assert.rejects(run(folder.path, { steps, source, onBadSample: 'skip' }), { name: 'TrainingError', message });
    }
  });

  test('tells which samples of an evaluation were left out', async () => {
    using folder = temporaryFolder();
    const held = tinySource([tinySample(1), tinySample(0, { answer: '' })]);
    const evaluation = { source: held, every: 1, batches: 1, metric: 'loss' } as const;
    const { events } = await run(folder.path, { steps: 1, evaluation, onBadSample: 'skip' });
    const [told] = events.flatMap((event) => (event.type === 'evaluation' ? [event.evaluation] : []));
    assert.deepEqual([told?.samples, told?.badSamples.length], [1, 1]);
    const line = logOf(folder.path).find(({ kind }) => kind === 'evaluation');
    assert.match(JSON.stringify(line), /"samples":1,"masks":1,"bad":\["sample sample 0: conversation\[0\] has an empty answer/);
  });

  test('keeps the whole snapshots where it went on from below damaged ones', async () => {
    using folder = temporaryFolder();
    await run(folder.path, { steps: 8, snapshots: { every: 2, keepLast: 4 } });
    for (const step of [4, 6, 8]) truncateSync(join(folder.path, `run/snapshots/step-0000000${step}/model.safetensors`), 100);
    await run(folder.path, { steps: 4, resume: true });
    assert.deepEqual(namesIn(folder.path).slice(3), ['step-00000002', 'step-00000004']);
    await verifySnapshot(join(folder.path, 'run/snapshots/step-00000004'));
  });

  test('goes on where its folder was moved, with data of the same number', async () => {
    using folder = temporaryFolder();
    const settings = (path: string) => ({ data: [{ path: join(path, 'a.jsonl') }], pretraining: { steps: 1 } });
    // As it was written when snapshots of pretraining were compared.
    const older = { ...settings(folder.path), pretraining: { steps: 1, snapshots: { every: 3 } } };
    await run(folder.path, { steps: 1, config: older, dataLengths: [3, 5] });
    using moved = temporaryFolder();
    cpSync(folder.path, moved.path, { recursive: true });
    const resumed = (options: Partial<RunOptions>) =>
      run(moved.path, { steps: 2, resume: true, config: settings(moved.path), dataLengths: [3, 5], ...options });
    await assert.rejects(resumed({ dataLengths: [3, 4] }), {
      name: 'TrainingError',
      message: /step-00000001 is of a run with other data: data\.1 has 4 samples, expected 5; or another output$/,
    });
    await assert.rejects(resumed({ config: settings('/elsewhere') }), { name: 'TrainingError', message: /with other settings: data; / });
    assert.equal(lossesOf(await resumed({})).length, 1);
  });

  test('goes on from a snapshot that has only what the first ones had', async () => {
    using folder = temporaryFolder();
    const config = { seed: 1, pretraining: { snapshots: { every: 3 } } };
    await run(folder.path, { steps: 2, config });
    const about = join(folder.path, 'run/snapshots/step-00000002/snapshot.json');
    const { output: _, dataLengths: __, ...state } = (JSON.parse(readFileSync(about, 'utf8')) as { state: Record<string, unknown> }).state;
    const old = { ...state, best: { step: 2, value: 1 } };
    writeFileSync(about, JSON.stringify({ sha256: createHash('sha256').update(JSON.stringify(old)).digest('hex'), state: old }));
    const { result, events } = await run(folder.path, { steps: 3, resume: true, config: { seed: 1, pretraining: {} }, dataLengths: [9] });
    assert.deepEqual([lossesOf({ events }).length, result.best], [1, { step: 2, value: 1 }]);
  });

  test('compares the best with values of the same metric and samples alone', async () => {
    using folder = temporaryFolder();
    const look = { source: tinySource(samples.slice(3)), every: 1, batches: 2, metric: 'loss', data: 'some' } as const;
    const { result } = await run(folder.path, { steps: 1, evaluation: look });
    const snapshots = join(folder.path, 'run/snapshots');
    const kept = async () => (await findSnapshot(snapshots))?.state.best;
    assert.deepEqual(await kept(), { ...result.best, of: { metric: 'loss', batches: 2, data: 'some' } });
    const next = async (steps: number, evaluation: RunOptions['evaluation']) =>
      (await run(folder.path, { steps, resume: true, evaluation })).result.best?.step;
    assert.equal(await next(2, { ...look, metric: 'giou' }), 2); // gIoU is below any loss, and loss the lower the better
    assert.equal(await next(3, { ...look, metric: 'giou', data: 'others' }), 3);
    // One that does not say what it is of is of the same.
    const snapshot = await findSnapshot(snapshots);
    assert.ok(snapshot);
    await noteBest(snapshot.path, { step: 1, value: 2 });
    assert.equal(await next(4, { ...look, metric: 'giou' }), 1);
    assert.deepEqual(await kept(), { step: 1, value: 2, of: { metric: 'giou', batches: 2, data: 'some' } });
  });

  test('refuses a folder that has a run, and a run of other settings', async () => {
    using folder = temporaryFolder();
    await run(folder.path, { steps: 2, config: { optimizer: { lr: 1 }, seed: 1 } });
    await assert.rejects(run(folder.path, { steps: 2 }), {
      name: 'TrainingError',
      message: /snapshots has snapshots up to step 2: resume that run, or give another output$/,
    });
    await assert.rejects(run(folder.path, { steps: 2, resume: true, config: { optimizer: { lr: 2 }, seed: 1 } }), {
      name: 'TrainingError',
      message: /step-00000002 is of a run with other settings: optimizer\.lr; expected the same, or another output$/,
    });
  });

  test('killed again and again it comes to the same bits', async () => {
    const steps = 14;
    const start = (folder: string, resume: boolean) => {
      const args = ['--import', 'tsx', join(__dirname, 'killed_run.ts'), device, folder, String(steps), ...(resume ? ['resume'] : [])];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      const ended = new Promise<string>((resolve) => child.once('close', () => resolve(out)));
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      return { child, ended, said: (text: string) => out.includes(text) };
    };
    const hashIn = (out: string) => /done (\w{64})/.exec(out)?.[1];
    using whole = temporaryFolder();
    using killed = temporaryFolder();
    const expected = hashIn(await start(whole.path, false).ended);
    assert.ok(expected);
    let kills = 0;
    for (let at = 1; at < steps; at += 3) {
      const { child, ended, said } = start(killed.path, kills > 0);
      while (!said(`step ${at}\n`) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
      // Anywhere in the steps that follow, the writing of a snapshot among them.
      await new Promise((resolve) => setTimeout(resolve, (wordAt(5, at) >>> 24) / 4));
      child.kill('SIGKILL');
      await ended;
      kills++;
    }
    assert.ok(kills >= 5);
    assert.equal(hashIn(await start(killed.path, true).ended), expected);
  }, 120_000);
});
