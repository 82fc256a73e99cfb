/** From the folder of a checkpoint to a model that can answer. */
import { basename } from 'node:path';
import { AbortedError, CheckpointError, DeviceError } from '../errors';
import type { MglmmConfig } from '../models/mglmm/config';
import { MglmmForCausalLM } from '../models/mglmm/model';
import { type ModelParts, modelParts } from '../models/model_parts';
import type { Dtype } from '../native';
import { differenceError } from '../nn/difference';
import { trimMemory } from '../tensor/create';
import { type PromptOptions, promptIds } from '../text/prompt';
import { type PromptFamily, promptStyles, type TemplateName, templates } from '../text/template';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer';
import { segToken } from '../text/tokens';
import { partOf } from '../weights/layouts';
import { loadModule } from '../weights/load_module';
import { type ModelFolder, openModelFolder } from '../weights/model_folder';
import { expectOptions, integerFrom, isAnything, isFunction, isSignal, isString, oneOf } from './checks';
import type { Engine } from './engine';
import type { LoadOptions, ModelDtype } from './load_options';
import { ProgressTeller } from './progress_teller';
import { SharedCache } from './shared_cache';

const defaultCacheBytes = 2 ** 30;
/** Weights that are stored in f32 and smaller than this stay so: rounding them saves nothing. */
const smallBytes = 2 ** 28;

const checks = {
  device: isString,
  dtype: oneOf('f32', 'bf16', 'f16', 'int8', 'int4'),
  clip: isString,
  sam: isString,
  tokenizer: isString,
  template: oneOf(...Object.keys(templates)),
  cacheBytes: integerFrom(0),
  onProgress: isFunction,
  logger: isAnything,
  signal: isSignal,
};

/** @throws ArgumentError, DeviceError, CheckpointError and its kinds, TokenizerError, AbortedError. */
export async function loadEngine(path: string, options: LoadOptions): Promise<Engine> {
  expectOptions('load', options, checks);
  expectDevice(options.device);
  const { signal, logger } = options;
  const progress = new ProgressTeller(options.onProgress);
  progress.tell('open', 0, 0, path);
  const folder = await openModelFolder(path, { clip: options.clip, sam: options.sam });
  const parts = modelParts(folder);
  const config = wholeConfig(folder, parts);
  const tokenizer = await loadTokenizer(options.tokenizer ?? path);
  const { segId, style } = speech(folder, config, tokenizer, options.template);
  const dtype = options.dtype ?? defaultDtype(folder);
  if (signal?.aborted) throw new AbortedError('load: aborted', { cause: signal.reason });
  const model = new MglmmForCausalLM(config, { dtype: floating(dtype) });
  try {
    const { unexpected } = await loadModule(model, folder.sources, {
      pack: true,
      quantize: (key) => quantizationOf(key, dtype),
      signal,
      onProgress: ({ key, bytes, totalBytes }) =>
        progress.tell('weights', bytes, totalBytes, basename(folder.tensors.get(key)?.file ?? path)),
    });
    trimMemory();
    const unknown = unexpected.filter((key) => parts.difference.unexpected.includes(key));
    if (unknown.length > 0)
      logger?.warn(`${path}: ${unknown.length} tensors are of no known part and were left out, such as ${unknown[0]}`);
  } catch (error) {
    model.dispose();
    throw error;
  }
  logger?.info(`${path}: ${folder.family} in ${dtype}`);
  progress.end(path);
  return { model, tokenizer, style, segId, cache: new SharedCache(options.cacheBytes ?? defaultCacheBytes) };
}

/** @throws DeviceError for one that this build does not have. */
export function expectDevice(device = 'auto'): void {
  if (device === 'auto' || device === 'cpu') return;
  throw new DeviceError(`load: device is ${JSON.stringify(device)}, this build has "cpu"; "auto" takes the best there is`);
}

const floating = (dtype: ModelDtype): Dtype => (dtype === 'int8' || dtype === 'int4' ? 'bf16' : dtype);

function defaultDtype({ tensors }: ModelFolder): ModelDtype {
  let bytes = 0;
  for (const [key, stored] of tensors) {
    if (partOf(key) === 'llama' && stored.dtype !== 'f32') return 'bf16';
    bytes += stored.bytes;
  }
  return bytes < smallBytes ? 'f32' : 'bf16';
}

/** The head decides between words that are close to each other: it keeps 8 bits. */
function quantizationOf(key: string, dtype: ModelDtype): 'int8' | 'int4' | undefined {
  if ((dtype !== 'int8' && dtype !== 'int4') || partOf(key) !== 'llama') return undefined;
  if (key === 'lm_head.weight') return 'int8';
  return /\.(self_attn|mlp)\.\w+_proj\.weight$/.test(key) ? dtype : undefined;
}

/** The sizes of a model that has all its parts. */
function wholeConfig(
  { path, family, tensors, sources, clipNotFound }: ModelFolder,
  { configs, missing, difference }: ModelParts,
): MglmmConfig {
  const refuse = (why: string): never => {
    throw new CheckpointError(`${path} ${why}`);
  };
  if (family === 'sam')
    refuse('is Segment Anything alone: open it with SegmentAnything.load, or give it as the option sam of a language model');
  if (family === 'clip') refuse('is CLIP alone: open the model that reads with it, and give this as the option clip');
  if (family === 'llama') refuse('is a language model alone, which sees no images: expected mglmm, glamm, lisa or llava');
  if (sources[0]?.layout.lora) refuse('has LoRA matrices that are not merged: run mglmm merge first');
  if (missing.includes('clip'))
    refuse(`has no CLIP tower, and ${clipNotFound ?? 'one'} is not beside it: give its folder as the option clip`);
  if (missing.length > 0) refuse(`has nothing of the part ${missing.join(', ')}, which a ${family} has`);
  if (difference.missing.length + difference.misshapen.length > 0) throw differenceError(`${path} is not whole`, difference);
  const { llama, clip, sam } = configs;
  if (!llama || !clip) return refuse('does not tell the sizes of its parts');
  return { llama, clip, sam, projector: tensors.has('model.mm_projector.weight') ? 'linear' : 'mlp' };
}

/** How to talk to the model. @throws CheckpointError when its tokenizer is another model's. */
function speech(
  { family, config, manifest, path }: ModelFolder,
  { llama, sam }: MglmmConfig,
  tokenizer: Tokenizer,
  template: TemplateName | undefined,
): { segId?: number; style: PromptOptions } {
  const own = promptStyles[family as PromptFamily];
  const wrap = config.mm_use_im_start_end;
  const style = {
    imagePrefix: own.imagePrefix,
    template: template ?? (manifest?.template as TemplateName | undefined) ?? own.template,
    wrapImage: typeof wrap === 'boolean' ? wrap : undefined,
  };
  const segId = sam && tokenizer.added.get(segToken);
  if (sam && segId === undefined)
    throw new CheckpointError(`${path}: the tokenizer has no ${segToken}, which the model asks for masks with`);
  const most = Math.max(segId ?? 0, ...promptIds(tokenizer, [{ question: '?' }], style));
  if (most >= llama.vocabSize) {
    throw new CheckpointError(`${path}: the tokenizer has token ${most}, the model only ${llama.vocabSize}: it is another model's`);
  }
  return { segId, style };
}
