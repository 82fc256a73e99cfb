/** The first part of the run of a new model: its vision, by masks and what they are called. */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchSource } from '../data/loader';
import { TrainingError } from '../errors';
import { synchronize } from '../tensor/create';
import { decisiveOfPretraining, decisivePart, differingSettings, type TrainConfig } from './config';
import { openModel } from './open_model';
import { hasMasks, PretrainingHeads, pretrainingLosses } from './pretraining_losses';
import { type RunOptions, runTraining } from './run';
import { scheduleOf } from './schedule';
import { newestState, snapshotSteps } from './snapshot';
import { chooseTrainable } from './trainable';
import { Trainer } from './trainer';
import { writeTrainedModel } from './write_model';

export interface PretrainOptions extends Pick<RunOptions, 'resume' | 'signal' | 'onEvent'> {
  /** Of batches of `pretraining.batchSize` samples; opened when it is needed. */
  readonly openSource: () => Promise<AsyncDisposable & { readonly loader: BatchSource; readonly lengths: readonly number[] }>;
}

/**
 * Trains as `config.pretraining` says, in the folder `pretraining` of the run.
 * @returns the folder of the model that came of it: what is there already, when the run goes on and asks for no more steps.
 * @throws as `train`; TrainingError when what is there is of other settings.
 */
export async function pretrain(config: TrainConfig, options: PretrainOptions): Promise<string> {
  const { pretraining, seed, recompute } = config;
  const output = join(config.output, 'pretraining');
  const folder = join(output, 'model');
  if (!pretraining || (options.resume && (await exists(folder)) && (await isEnough(config, pretraining.steps, output)))) return folder;
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
      takes: hasMasks,
      losses: (items, drawnBy) => pretrainingLosses(model, heads, items, { tokenizer, prompts, weights, recompute, seed: drawnBy }),
      onBadSample: config.onBadSample,
      seed,
    });
    await using source = await options.openSource();
    const run = {
      source: source.loader,
      dataLengths: source.lengths,
      output,
      steps,
      accumulation: 1,
      snapshots,
      config: decisivePart(config),
    };
    await runTraining({ ...options, ...run, trainer });
    await synchronize();
    await rm(folder, { recursive: true, force: true });
    await writeTrainedModel(folder, opened);
    return folder;
  } finally {
    heads.dispose();
  }
}

/** Whether the model in `output` is the one of `config`; not yet, when that asks for more steps. Without snapshots nothing says. */
async function isEnough(config: TrainConfig, steps: number, output: string): Promise<boolean> {
  const state = await newestState(join(output, 'snapshots'));
  if (!state) return true;
  const begun = { config: decisiveOfPretraining(state.config), output: state.output };
  const fields = differingSettings(begun, { config: decisiveOfPretraining(decisivePart(config)), output });
  if (fields.length > 0)
    throw new TrainingError(`${output} is of a run with other settings: ${fields.join(', ')}; expected the same, or another output`);
  const [further] = await snapshotSteps(join(config.output, 'snapshots'));
  if (steps < state.step || (steps > state.step && further !== undefined)) {
    const expected = `${state.step}${further === undefined ? ' or more' : ', after which the run went on'}`;
    throw new TrainingError(`pretraining.steps is ${steps}, expected ${expected}: that many are in ${output}; or another output`);
  }
  return steps === state.step;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
