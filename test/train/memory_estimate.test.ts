import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  addLora,
  chooseTrainable,
  type Device,
  type Dtype,
  estimateMemory,
  memory,
  openModel,
  resetPeak,
  Trainer,
  trainingMemory,
} from '../../lib';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { batchOf, tinySample, tinySizes, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

const maxLength = 400;
const text_config = {
  ...tinySizes.text_config,
  hidden_size: 128,
  intermediate_size: 344,
  num_hidden_layers: 12,
  max_position_embeddings: 1024,
};

/** Bytes that a step needs, as it was and as it was estimated. */
async function measured(device: Device, dtype: Dtype, recompute: boolean) {
  using folder = temporaryFolder();
  using opened = await openModel({ sizes: { ...tinySizes, text_config }, tokenizer: writeTinyTokenizer(folder.path), dtype, seed: 1 });
  addLora(opened.model, { rank: 8, alpha: 16, dropout: 0.05, targets: ['q_proj', 'v_proj'], within: '^model\\.layers' }, 1);
  chooseTrainable(opened.model, 'mglmm');
  using trainer = new Trainer(opened.model, opened.speech, { schedule: () => 1e-3, recompute, maxLength, cacheBytes: 0 });
  const sample = tinySample(2, { answer: `<p> a </p> [SEG] ${'and on '.repeat(133)} <p> b </p> [SEG]`, width: 100, height: 100 });
  const batch = [batchOf([sample, sample])];
  await trainer.step(batch);
  await collectGarbage();
  const held = memory(device).liveBytes;
  resetPeak(device);
  await trainer.step(batch);
  await collectGarbage();
  const estimate = estimateMemory(opened.model, { batchSize: 2, maxLength, recompute, cacheBytes: 0, masks: 2, pixels: 1e4 });
  return { step: memory(device).peakBytes - held, estimate, report: trainingMemory(trainer) };
}

onEveryDevice('estimateMemory', (device) => {
  for (const dtype of ['f32', 'bf16'] as const) {
    test(`is near what a step needs, and recompute needs a third of it, in ${dtype}`, async () => {
      const [plain, recomputed] = [await measured(device, dtype, false), await measured(device, dtype, true)];
      for (const { step, estimate, report } of [plain, recomputed]) {
        const { weights, gradients, optimizer, cache } = estimate;
        assert.deepEqual(report, { weights, gradients, optimizer, cache, activations: step - gradients });
        const share = (estimate.activations + estimate.gradients) / step;
        assert.ok(share > 0.75 && share < 1.5, `estimated ${share} of ${step} bytes`);
      }
      assert.ok(recomputed.step < plain.step / 3, `${recomputed.step} of ${plain.step} bytes`);
      const { trained, gradients, optimizer } = plain.estimate;
      assert.deepEqual([gradients, optimizer], dtype === 'f32' ? [4 * trained, 8 * trained] : [2 * trained, 12 * trained]);
    });
  }
});
