/** From a configuration to a trained model: opens what it names, runs it, writes the adapter. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CocoPanopticDataset } from '../data/datasets/coco_panoptic';
import { MgscDataset } from '../data/datasets/mgsc';
import { EachOnce } from '../data/each_once';
import { JsonlDataset } from '../data/jsonl';
import { Loader } from '../data/loader';
import { type Draws, Mixture } from '../data/mixture';
import type { Dataset } from '../data/sample';
import { SceneDataset } from '../data/scenes/scene_dataset';
import type { SampleError } from '../errors';
import { synchronize } from '../tensor/create';
import { chosenDevice, onDevice } from '../tensor/device';
import { writeAdapter } from '../weights/adapter';
import { type DataConfig, decisivePart, parseConfig, type TrainConfig } from './config';
import { addLora, type OpenedModel, openModel } from './open_model';
import { pretrain } from './pretrain';
import { type RunEvent, type RunResult, runTraining } from './run';
import { scheduleOf } from './schedule';
import { chooseTrainable, type TrainableSet, withoutLora } from './trainable';
import { Trainer } from './trainer';
import { writeTrainedModel } from './write_model';

export interface TrainOptions {
  /** Go on from the newest snapshot that is whole. Default false. */
  readonly resume?: boolean;
  /** Once it fires the step that is running is finished, a snapshot written, and an AbortedError thrown. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  /** Is told of each sample that is left out, with `onBadSample: skip`. */
  readonly onBadSample?: (error: Error) => void;
}

export interface TrainResult extends RunResult {
  /** Folder of what was trained: an adapter in PEFT's form, or, of a new model or without LoRA, a model. */
  readonly adapter?: string;
  readonly model?: string;
}

/**
 * Trains as `config` says: see `readConfig` and `parseConfig`, by which it is checked once more.
 * @throws TrainingError, CheckpointError, TokenizerError, DataError, SampleError, ArgumentError, DeviceError, AbortedError.
 */
export async function train(config: TrainConfig, options: TrainOptions = {}): Promise<TrainResult> {
  const parsed = parseConfig(config);
  return onDevice(chosenDevice(parsed.device), () => trainHere(parsed, options));
}

async function trainHere(config: TrainConfig, options: TrainOptions): Promise<TrainResult> {
  const { signal, resume, onEvent, onBadSample } = options;
  const skip = onBadSample && ((error: SampleError) => onBadSample(error));
  const tell = (event: RunEvent) => {
    const looked = event.type === 'step' ? event.report : event.type === 'evaluation' ? event.evaluation : undefined;
    for (const error of looked?.badSamples ?? []) onBadSample?.(error);
    onEvent?.(event);
  };
  const open = ({ data, batchSize }: Pick<TrainConfig, 'data' | 'batchSize'>) =>
    openSource(data, mixedAs(data, config.seed), { ...config, batchSize }, { signal, onSkip: skip });
  const { pretraining } = config;
  const begun = pretraining && {
    path: await pretrain(config, {
      resume,
      signal,
      onEvent: tell,
      openSource: () => open({ ...pretraining, data: pretraining.data ?? config.data }),
    }),
    dtype: config.model.dtype,
  };
  using opened = await prepareModel(begun ? { ...config, model: begun } : config, { signal });
  using trainer = new Trainer(opened.model, opened.speech, {
    schedule: scheduleOf(config.optimizer, config.steps),
    optimizer: config.optimizer,
    weights: config.loss,
    maxLength: config.maxLength,
    recompute: config.recompute,
    onBadSample: config.onBadSample,
    cacheBytes: config.cacheGigabytes * 1e9,
    seed: config.seed,
  });
  await using source = await open(config);
  const { data, ...evaluation } = config.evaluation;
  await using held = data ? await openSource(data, (sets) => new EachOnce(sets, config.seed), config, { signal, onSkip: skip }) : undefined;
  const result = await runTraining({
    trainer,
    source: source.loader,
    dataLengths: source.lengths,
    output: config.output,
    steps: config.steps,
    accumulation: config.accumulation,
    snapshots: config.snapshots,
    evaluation: held && { source: held.loader, data, ...evaluation },
    config: decisivePart(config),
    resume,
    signal,
    onEvent: tell,
  });
  await synchronize();
  if (config.lora && config.model.path !== undefined) {
    const adapter = join(config.output, 'adapter');
    await writeAdapter(adapter, opened.model, {
      whole: [...trainer.optimizer.parameters.keys()],
      baseName: begun?.path ?? config.model.path,
    });
    return { ...result, adapter };
  }
  const model = join(config.output, 'model');
  await rm(model, { recursive: true, force: true });
  await writeTrainedModel(model, opened);
  return { ...result, model };
}

/**
 * The model of a configuration, with its LoRA, and the gradients that are wanted.
 * @param options.values - false: nothing of the weights is read.
 */
export async function prepareModel(config: TrainConfig, options: { values?: boolean; signal?: AbortSignal } = {}): Promise<OpenedModel> {
  const opened = await onDevice(chosenDevice(config.device), () => openModel({ ...config.model, seed: config.seed }, options));
  try {
    if (config.lora) addLora(opened.model, config.lora, config.seed + 1);
    chooseTrainable(opened.model, trainableOf(config));
    return opened;
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
}

function trainableOf({ trainable, lora }: TrainConfig): TrainableSet | readonly string[] {
  const isPublished = trainable === 'mglmm' || trainable === 'lisa' || trainable === 'glamm';
  if (lora || !isPublished) return trainable;
  return withoutLora;
}

/** Opens all data that `config` names, and closes it. @throws as `train`. */
export async function tryData(config: TrainConfig, signal?: AbortSignal): Promise<void> {
  for (const data of [config.data, config.pretraining?.data ?? [], config.evaluation.data ?? []] as TrainConfig['data'][])
    if (data.length > 0) await (await openSource(data, mixedAs(data, config.seed), config, { signal }))[Symbol.asyncDispose]();
}

const mixedAs = (data: TrainConfig['data'], seed: number) => (sets: readonly Dataset[]) =>
  new Mixture(
    sets.map((dataset, i) => ({ dataset, weight: data[i]?.weight })),
    seed,
  );

function openDataset({ path, scenes, mgsc, cocoPanoptic }: DataConfig, signal: AbortSignal | undefined): Promise<Dataset> | Dataset {
  if (scenes) return new SceneDataset(scenes);
  if (mgsc) return MgscDataset.open({ ...mgsc, signal });
  if (cocoPanoptic) return CocoPanopticDataset.open({ ...cocoPanoptic, signal });
  return JsonlDataset.open(path as string, { signal });
}

/** Data as batches. */
async function openSource(
  from: readonly DataConfig[],
  drawn: (sets: readonly Dataset[]) => Draws,
  { batchSize, onBadSample, workers }: TrainConfig,
  { signal, onSkip }: { signal?: AbortSignal; onSkip?: (error: SampleError) => void },
): Promise<AsyncDisposable & { readonly loader: Loader; readonly lengths: readonly number[] }> {
  const sets: Dataset[] = [];
  const files: JsonlDataset[] = [];
  const close = async () => {
    for (const file of files) await file.close();
  };
  try {
    for (const one of from) {
      const set = await openDataset(one, signal);
      if (set instanceof JsonlDataset) files.push(set);
      sets.push(set);
    }
    const loader = new Loader({ mixture: drawn(sets), batchSize, onBadSample, onSkip, workers });
    return {
      loader,
      lengths: sets.map(({ length }) => length),
      [Symbol.asyncDispose]: async () => {
        await loader.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
