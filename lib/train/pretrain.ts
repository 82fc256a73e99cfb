/** The first part of the run of a new model: its vision, by masks and what they are called. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchSource } from '../data/loader';
import { synchronize } from '../tensor/create';
import { decisivePart, type TrainConfig } from './config';
import { openModel } from './open_model';
import { PretrainingHeads, pretrainingLosses } from './pretraining_losses';
import { type RunOptions, runTraining } from './run';
import { scheduleOf } from './schedule';
import { chooseTrainable } from './trainable';
import { Trainer } from './trainer';
import { writeTrainedModel } from './write_model';

export interface PretrainOptions extends Pick<RunOptions, 'resume' | 'signal' | 'onEvent'> {
  /** Of batches of `pretraining.batchSize` samples; opened when it is needed. */
  readonly openSource: () => Promise<AsyncDisposable & { readonly loader: BatchSource }>;
}

/**
 * Trains as `config.pretraining` says, in the folder `pretraining` of the run.
 * @returns the folder of the model that came of it: what is there already, when the run goes on.
 * @throws as `train`.
 */
export async function pretrain(config: TrainConfig, options: PretrainOptions): Promise<string> {
  const { pretraining, seed, recompute } = config;
  const output = join(config.output, 'pretraining');
  const folder = join(output, 'model');
  if (!pretraining || (options.resume && (await exists(folder)))) return folder;
  const { prompts, steps, trainable, snapshots, optimizer, loss: weights } = pretraining;
  using opened = await openModel({ ...config.model, seed }, { signal: options.signal });
  const { model, speech } = opened;
  const heads = new PretrainingHeads(model, weights).initialize(seed + 2).train(() => true);
  try {
    chooseTrainable(model, trainable);
    const { tokenizer } = speech;
    using trainer = new Trainer(model, speech, {
      schedule: scheduleOf(optimizer, steps),
      optimizer,
      heads,
      losses: (items, drawnBy) => pretrainingLosses(model, heads, items, { tokenizer, prompts, weights, recompute, seed: drawnBy }),
      onBadSample: config.onBadSample,
      seed,
    });
    await using source = await options.openSource();
    const run = { source: source.loader, output, steps, accumulation: 1, snapshots, config: decisivePart(config) };
    await runTraining({ ...options, ...run, trainer });
    await synchronize();
    await writeTrainedModel(folder, opened);
    return folder;
  } finally {
    heads.dispose();
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
