import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { type Device, Mglmm, openCheckpoint, parseConfig, type RunEvent, type TrainConfig, train } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { writeSamples } from '../support/samples';
import { tinySizes, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

async function configIn(device: Device, folder: ReturnType<typeof temporaryFolder>, change: object = {}): Promise<TrainConfig> {
  await writeSamples(folder, 6, 'train');
  writeTinyTokenizer(folder.path);
  const given = {
    model: { sizes: tinySizes, tokenizer: '.', dtype: 'bf16' },
    data: [{ path: 'train.jsonl' }],
    output: 'run',
    pretraining: { steps: 6, batchSize: 4, optimizer: { lr: 3e-3, warmupSteps: 1 }, snapshots: { every: 2 } },
    steps: 4,
    accumulation: 1,
    batchSize: 4,
    trainable: 'full',
    lora: null,
    optimizer: { lr: 1e-3, warmupSteps: 1 },
    snapshots: { every: 2 },
    device,
    ...change,
  };
  return parseConfig(given, folder.path);
}

interface Logged {
  readonly kind: string;
  readonly step: number;
  readonly loss: number;
  readonly maskLoss: number;
  readonly ceLoss: number;
  readonly samples: number;
  readonly isApplied: boolean;
}

const logOf = (folder: string, part = ''): Logged[] =>
  readFileSync(join(folder, 'run', part, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Logged);

/** Trains until `stops` steps were told, as if the program had been stopped then. */
async function stopAfter(config: TrainConfig, stops: number, resume: boolean): Promise<void> {
  const controller = new AbortController();
  let steps = 0;
  const onEvent = (event: RunEvent) => {
    if (event.type === 'step' && ++steps === stops) controller.abort();
  };
  await assert.rejects(train(config, { resume, signal: controller.signal, onEvent }), /goes on with resume/);
}

onEveryDevice('pretraining', (device) => {
  test('comes before the run, learns masks and words, and hands on a model', async () => {
    using folder = temporaryFolder();
    const config = await configIn(device, folder, { pretraining: { steps: 40, batchSize: 4, optimizer: { lr: 1e-2, warmupSteps: 1 } } });
    const { model = '' } = await train(config);
    const logged = logOf(folder.path, 'pretraining');
    assert.equal(logged.length, 40);
    const mean = (part: readonly Logged[], of: 'maskLoss' | 'ceLoss') => part.reduce((sum, line) => sum + line[of], 0) / part.length;
    for (const loss of ['maskLoss', 'ceLoss'] as const)
      assert.ok(mean(logged.slice(-5), loss) < 0.8 * mean(logged.slice(0, 5), loss), `${loss} did not fall`);
    assert.deepEqual(
      logOf(folder.path).map(({ step }) => step),
      [0, 1, 2, 3],
    );
    const { names } = await openCheckpoint(join(folder.path, 'run/pretraining/model/model.safetensors'));
    assert.ok(!names.some((name) => name.includes('heads')), 'what is thrown away is in the model');
    await using opened = await Mglmm.load(model, { device });
    const answer = await opened.answer({ image: join(folder.path, 'pictures/0.png'), prompt: 'What is there?', maxNewTokens: 3 });
    assert.ok(answer.usage.newTokens > 0);
  });

  test('goes on to the same bits wherever it was stopped', async () => {
    using whole = temporaryFolder();
    using parts = temporaryFolder();
    const { model = '' } = await train(await configIn(device, whole));
    const config = await configIn(device, parts);
    await stopAfter(config, 3, false); // within pretraining
    await stopAfter(config, 5, true); // behind it
    const { model: again = '' } = await train(config, { resume: true });
    const bytes = (path: string) => readdirSync(path).filter((name) => name.endsWith('.safetensors'));
    assert.deepEqual(bytes(again), bytes(model));
    for (const name of bytes(model)) assert.ok(readFileSync(join(again, name)).equals(readFileSync(join(model, name))), name);
    const losses = (folder: string, part?: string) => logOf(folder, part).map(({ loss }) => loss);
    assert.deepEqual(losses(parts.path, 'pretraining'), losses(whole.path, 'pretraining'));
    assert.deepEqual(losses(parts.path), losses(whole.path));
  });

  test('may be longer than it was meant to be, where its rate is constant', async () => {
    using folder = temporaryFolder();
    const optimizer = { schedule: 'constant', lr: 1e-3, warmupSteps: 1, cooldownSteps: 1 };
    await stopAfter(await configIn(device, folder, { optimizer, pretraining: { steps: 4, batchSize: 4, optimizer } }), 2, false);
    const longer = { steps: 3, optimizer, pretraining: { steps: 5, batchSize: 4, optimizer } };
    await assert.rejects(
      train(await configIn(device, folder, { ...longer, seed: 7 }), { resume: true }),
      /is of a run with other settings: seed;/,
    );
    await train(await configIn(device, folder, longer), { resume: true });
    assert.deepEqual([logOf(folder.path, 'pretraining').length, logOf(folder.path).length], [5, 3]);
  });

  test('that is over is looked at when the run goes on: other settings are refused, more steps are done', async () => {
    using folder = temporaryFolder();
    const optimizer = { schedule: 'constant', lr: 1e-3, warmupSteps: 1 };
    const pretraining = { steps: 2, batchSize: 4, optimizer };
    const resumed = async (change: object, next: object = {}) =>
      train(await configIn(device, folder, { steps: 2, pretraining: { ...pretraining, ...change }, ...next }), { resume: true });
    const controller = new AbortController();
    const config = await configIn(device, folder, { steps: 2, pretraining });
    const stop = (event: RunEvent) => event.type === 'snapshot' && controller.abort();
    await assert.rejects(train(config, { signal: controller.signal, onEvent: stop }), { name: 'AbortedError' });
    const refusal = (message: RegExp) => ({ name: 'TrainingError', message });
    await assert.rejects(
      resumed({ batchSize: 3 }),
      refusal(/pretraining is of a run with other settings: pretraining\.batchSize; expected/),
    );
    await assert.rejects(resumed({}, { seed: 3 }), refusal(/: seed; expected the same, or another output$/));
    await assert.rejects(
      resumed({ steps: 1 }),
      refusal(/^pretraining\.steps is 1, expected 2 or more: that many are in .*pretraining; or/),
    );
    await resumed({ steps: 3 });
    assert.deepEqual([logOf(folder.path, 'pretraining').length, logOf(folder.path).length], [3, 2]);
    await assert.rejects(resumed({ steps: 4 }), refusal(/steps is 4, expected 3, after which the run went on: /));
    rmSync(join(folder.path, 'run/snapshots'), { recursive: true });
    await resumed({ steps: 3 }, { accumulation: 2 }); // what decides nothing of pretraining may change behind it
  });

  test('goes on with a model that there is, and teaches words to what of it is named', async () => {
    using folder = temporaryFolder();
    await train(await configIn(device, folder));
    const begun = join(folder.path, 'run/pretraining/model');
    const config = await configIn(device, folder, {
      model: { path: begun, dtype: 'bf16' },
      output: 'further',
      pretraining: {
        data: [{ scenes: { split: 'train', size: 48, tasks: { everything: 1 } } }],
        steps: 3,
        batchSize: 4,
        prompts: { pictures: 0 },
        trainable: ['vision_tower', 'mm_projector'],
        optimizer: { lr: 1e-2, warmupSteps: 1 },
      },
    });
    await train(config);
    const values = async (path: string) => {
      const checkpoint = await openCheckpoint(join(path, 'model.safetensors'));
      const all = new Map<string, readonly number[]>();
      for (const name of checkpoint.names) {
        using value = await checkpoint.load(name, 'f32');
        all.set(name, [...((await value.read()) as Float32Array)]);
      }
      return all;
    };
    const [before, after] = [await values(begun), await values(join(folder.path, 'further/pretraining/model'))];
    const changed = [...before.keys()].filter((name) => String(before.get(name)) !== String(after.get(name)));
    assert.ok(changed.some((name) => name.includes('vision_tower')) && changed.some((name) => name.includes('mm_projector')));
    assert.ok(logOf(folder.path, '../further/pretraining').every(({ loss }) => Number.isFinite(loss)));
    assert.deepEqual(
      changed.filter((name) => !/vision_tower|mm_projector/.test(name)),
      [],
    );
  });

  test('of a model that there is, with LoRA, is the base that the adapter names', async () => {
    using folder = temporaryFolder();
    const { model: path } = await train(await configIn(device, folder, { pretraining: undefined, steps: 1 }));
    const config = await configIn(device, folder, {
      model: { path, dtype: 'bf16' },
      output: 'further',
      pretraining: { steps: 1, batchSize: 4 },
      steps: 1,
      trainable: 'mglmm',
      lora: {},
    });
    const { adapter = '' } = await train(config);
    const about = JSON.parse(readFileSync(join(adapter, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    assert.equal(about.base_model_name_or_path, join(folder.path, 'further/pretraining/model'));
  });

  test('is of samples with masks', async () => {
    using folder = temporaryFolder();
    const config = await configIn(device, folder);
    const { data } = await configIn(device, folder, { data: [{ path: 'blind.jsonl' }] });
    folder.file(
      'blind.jsonl',
      readFileSync(join(folder.path, 'train.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('"masks":[]'))
        .join('\n'),
    );
    await assert.rejects(train({ ...config, data }), {
      name: 'TrainingError',
      message: 'training: 6 steps changed nothing: they had no sample to train on, or no finite gradient',
    });
  });

  test('passes over samples without masks, and counts a step that has no other', async () => {
    using folder = temporaryFolder();
    await train(await configIn(device, folder, { pretraining: { steps: 6, batchSize: 1 }, steps: 1 }));
    const logged = logOf(folder.path, 'pretraining').map(({ samples, isApplied }) => [samples, isApplied]);
    assert.deepEqual(logged.sort().reverse(), [...new Array(4).fill([1, true]), ...new Array(2).fill([0, false])]);
  });
});
