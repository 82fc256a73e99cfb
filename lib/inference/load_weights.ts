/** What opening any model has in common: checking the options, reading the weights, telling how far it is. */
import { basename } from 'node:path';
import { expectOptions, integerFrom, isFunction, isLogger, isSignal, isString, oneOf, shown } from '../checks';
import { AbortedError, ArgumentError, CheckpointError } from '../errors';
import type { ModelParts } from '../models/model_parts';
import { differenceError } from '../nn/difference';
import type { Module } from '../nn/module';
import { trimMemory } from '../tensor/create';
import { loadModule } from '../weights/load_module';
import type { ModelFolder } from '../weights/model_folder';
import type { LoadOptions, ModelDtype } from './load_options';
import type { ProgressTeller } from './progress_teller';

/** Of {@link LoadOptions.cacheBytes}. */
export const defaultCacheBytes = 2 ** 30;
/** Weights that are stored in f32 and smaller than this stay so: rounding them saves nothing. */
const smallBytes = 2 ** 28;

const checks = {
  device: isString,
  dtype: oneOf('f32', 'bf16', 'f16', 'int8', 'int4'),
  cacheBytes: integerFrom(0),
  onProgress: isFunction,
  logger: isLogger,
  signal: isSignal,
};

/** @param more - options besides those that all models have. @throws ArgumentError */
export function expectLoadOptions(path: unknown, options: unknown, more: Parameters<typeof expectOptions>[2] = {}): void {
  if (typeof path !== 'string') throw new ArgumentError(`load: path is ${shown(path)}, expected a string`);
  expectOptions('load', options, { ...checks, ...more });
}

/** That of {@link LoadOptions.dtype}. */
export function defaultDtype({ tensors }: ModelFolder): 'f32' | 'bf16' {
  const all = [...tensors.values()];
  const bytes = all.reduce((sum, stored) => sum + stored.bytes, 0);
  return bytes < smallBytes && all.every(({ dtype }) => dtype === 'f32') ? 'f32' : 'bf16';
}

/** @throws CheckpointError when tensors are missing, or have other shapes. */
export function expectWhole({ path, sources }: ModelFolder, { difference }: ModelParts): void {
  if (sources[0]?.layout.lora) throw new CheckpointError(`${path} has LoRA matrices that are not merged: run mglmm merge first`);
  if (difference.missing.length + difference.misshapen.length > 0) throw differenceError(`${path} is not whole`, difference);
}

interface LoadWeightsOptions extends Pick<LoadOptions, 'signal' | 'logger'> {
  readonly dtype: ModelDtype;
  readonly progress: ProgressTeller;
  /** Of a weight that is held in 8 or 4 bits. */
  readonly quantize?: (key: string) => 'int8' | 'int4' | undefined;
}

/** Weights into `module`, which is disposed when that, or one of the callbacks, fails. @throws CheckpointError and its kinds, AbortedError. */
export async function loadWeights(
  module: Module,
  { path, family, sources, tensors }: ModelFolder,
  { difference, guesses }: ModelParts,
  { dtype, progress, quantize, signal, logger }: LoadWeightsOptions,
): Promise<void> {
  try {
    if (signal?.aborted) throw new AbortedError('load: aborted before it began', { cause: signal.reason });
    await loadModule(module, sources, {
      pack: true,
      quantize,
      signal,
      onProgress: ({ key, bytes, totalBytes }) => progress.tell('weights', bytes, totalBytes, basename(tensors.get(key)?.file ?? path)),
    });
    for (const device of new Set(['cpu', module.device] as const)) trimMemory(device); // what casts and packing took on the way
    for (const guess of guesses) logger?.warn(`${path}: ${guess}`);
    const { unexpected } = difference;
    if (unexpected.length > 0)
      logger?.warn(`${path}: ${unexpected.length} tensors are of no known part and were left out, such as ${unexpected[0]}`);
    logger?.info(`${path}: ${family} in ${dtype} on ${module.device}`);
    progress.end(path);
  } catch (error) {
    module.dispose();
    throw error;
  }
}
