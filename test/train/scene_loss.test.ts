/** What patches tell of scenes, beside answers. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { Loader, Mixture, openCheckpoint, parseConfig, SceneDataset, Trainer, tidy, train } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { batchOf, tinySample, tinySizes, tinyTrainable, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

async function sceneBatch() {
  const scenes = new SceneDataset({ split: 'train', seed: 4, size: 48, tasks: { places: 1 } });
  await using loader = new Loader({ mixture: new Mixture([{ dataset: scenes }], 1), batchSize: 2, workers: 0 });
  return await loader.batch(0);
}

onEveryDevice('what patches tell of scenes', (device) => {
  test('adds to the loss by its weight, asks at first for nothing, and nothing of other pictures', async () => {
    using folder = temporaryFolder();
    using opened = await tinyTrainable(folder.path, { set: 'full' });
    const losses = async (scenes: number, batch = tinyBatch()) => {
      using trainer = new Trainer(opened.model, opened.speech, { schedule: () => 0, weights: { scenes } });
      return tidy(async () => {
        const { loss, ceLoss, maskLoss } = trainer.evaluate(trainer.items(batch, []));
        return (await loss.item()) - (await ceLoss.item()) - (await maskLoss.item());
      });
    };
    const tinyBatch = () => batchOf([tinySample(1), tinySample(2)]);
    const batch = await sceneBatch();
    assert.ok(Math.abs(await losses(1)) < 1e-5);
    assert.ok(Math.abs(await losses(0, batch)) < 1e-5);
    const [one, two] = [await losses(1, batch), await losses(2, batch)];
    // Heads of zeros find every class as likely: of kind, colour, pattern, part ... the logarithm of how many there are, weighed.
    assert.ok(one > 14 && one < 24 && Math.abs(two - 2 * one) < 1e-3, `${one} ${two}`);
  });

  test('is learned by patches and heads together', async () => {
    using folder = temporaryFolder();
    using opened = await tinyTrainable(folder.path, { set: 'full' });
    const weights = { ce: 0, bce: 0, dice: 0, scenes: 1 };
    using trainer = new Trainer(opened.model, opened.speech, { schedule: () => 2e-2, weights });
    const before = opened.model.stateDict().get('model.mm_projector.2.weight');
    const first = (await before?.read())?.slice();
    const batch = await sceneBatch();
    const told: number[] = [];
    for (let step = 0; step < 8; step++) told.push((await trainer.step([batch])).loss);
    assert.ok((told.at(-1) as number) < 0.8 * (told[0] as number), told.join(' '));
    assert.notDeepEqual(await opened.model.stateDict().get('model.mm_projector.2.weight')?.read(), first);
  });

  test('goes on to the same bits in a run that was stopped, and leaves no head in the model', async () => {
    const run = async (folder: string, stops: readonly number[]) => {
      writeTinyTokenizer(folder);
      const given = {
        model: { sizes: tinySizes, tokenizer: '.', dtype: 'bf16' },
        data: [{ scenes: { split: 'train', size: 48, tasks: { places: 1 } } }],
        output: 'run',
        steps: 3,
        batchSize: 1,
        accumulation: 1,
        trainable: 'full',
        lora: null,
        loss: { scenes: 0.5 },
        optimizer: { lr: 1e-2, warmupSteps: 1 },
        device,
      };
      const config = parseConfig(given, folder);
      for (const [part, stop] of stops.entries()) {
        const controller = new AbortController();
        const onEvent = (event: { type: string }) => event.type === 'step' && --left === 0 && controller.abort();
        let left = stop;
        await assert.rejects(train(config, { resume: part > 0, signal: controller.signal, onEvent }), /goes on with resume/);
      }
      return train(config, { resume: stops.length > 0 });
    };
    using whole = temporaryFolder();
    using parts = temporaryFolder();
    const [a, b] = [await run(whole.path, []), await run(parts.path, [1, 1])];
    const file = (folder = '') => readFileSync(join(folder, 'model.safetensors'));
    assert.ok(file(a.model).equals(file(b.model)));
    const { names } = await openCheckpoint(join(a.model as string, 'model.safetensors'));
    assert.ok(!names.some((name) => name.includes('facts')));
  });

  test('is part of pretraining by its own weight', async () => {
    using folder = temporaryFolder();
    writeTinyTokenizer(folder.path);
    const scenes = { split: 'train', size: 48, tasks: { everything: 1 } };
    const pretraining = { steps: 6, batchSize: 2, prompts: { pictures: 0 }, loss: { scenes: 1 }, optimizer: { lr: 2e-2, warmupSteps: 1 } };
    const given = {
      model: { sizes: tinySizes, tokenizer: '.', dtype: 'f32' },
      data: [{ scenes }],
      output: 'run',
      pretraining,
      steps: 1,
      batchSize: 1,
      accumulation: 1,
      trainable: 'full',
      lora: null,
      device,
    };
    const { model = '' } = await train(parseConfig(given, folder.path));
    const lines = readFileSync(join(folder.path, 'run/pretraining/log.jsonl'), 'utf8').trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as { loss: number; ceLoss: number }).map(({ loss, ceLoss }) => loss - ceLoss);
    assert.equal(told.length, 6);
    assert.ok((told[0] as number) > 14 && (told.at(-1) as number) < (told[0] as number), told.join(' '));
    const { names } = await openCheckpoint(join(model, 'model.safetensors'));
    assert.ok(!names.some((name) => name.includes('facts')));
  });
});
