/** From the folder of a checkpoint to a model that can answer. */
import { isString, oneOf } from '../checks';
import { CheckpointError } from '../errors';
import type { MglmmConfig } from '../models/mglmm/config';
import { MglmmForCausalLM } from '../models/mglmm/model';
import { mglmmConfigOf } from '../models/model_configs';
import { type ModelParts, modelParts } from '../models/model_parts';
import { chosenDevice, onDevice } from '../tensor/device';
import { type PromptOptions, promptIds } from '../text/prompt';
import { type PromptFamily, promptStyles, type TemplateName, templates } from '../text/template';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer';
import { segToken } from '../text/tokens';
import { partOf } from '../weights/layouts';
import { type ModelFolder, openModelFolder } from '../weights/model_folder';
import type { Engine } from './engine';
import type { LoadOptions, ModelDtype } from './load_options';
import { defaultCacheBytes, defaultDtype, expectLoadOptions, expectWhole, loadWeights } from './load_weights';
import { ProgressTeller } from './progress_teller';
import { SharedCache } from './shared_cache';

const checks = { clip: isString, sam: isString, tokenizer: isString, template: oneOf(...Object.keys(templates)) };

/** @throws ArgumentError, DeviceError, CheckpointError and its kinds, TokenizerError, AbortedError. */
export async function loadEngine(path: string, options: LoadOptions): Promise<Engine> {
  expectLoadOptions(path, options, checks);
  return onDevice(chosenDevice(options.device), () => openEngine(path, options));
}

async function openEngine(path: string, options: LoadOptions): Promise<Engine> {
  const progress = new ProgressTeller(options.onProgress);
  progress.tell('open', 0, 0, path);
  const folder = await openModelFolder(path, { clip: options.clip, sam: options.sam });
  const parts = modelParts(folder);
  expectParts(folder, parts);
  const config = mglmmConfigOf(folder);
  const tokenizer = await loadTokenizer(options.tokenizer ?? path);
  const speech = speechOf(folder, config, tokenizer, options.template);
  const { signal, logger, dtype = defaultDtype(folder) } = options;
  const model = new MglmmForCausalLM(config, { dtype: dtype === 'int8' || dtype === 'int4' ? 'bf16' : dtype });
  const quantize = (key: string) => quantizationOf(key, dtype);
  await loadWeights(model, folder, parts, { dtype, progress, quantize, signal, logger });
  const cache = new SharedCache(options.cacheBytes ?? defaultCacheBytes);
  return { model, tokenizer, ...speech, cache, weights: { tensors: folder.tensors, quantize } };
}

function quantizationOf(key: string, dtype: ModelDtype): 'int8' | 'int4' | undefined {
  if ((dtype !== 'int8' && dtype !== 'int4') || partOf(key) !== 'llama') return undefined;
  // The head decides between words that are close to each other: it keeps 8 bits.
  if (key === 'lm_head.weight') return 'int8';
  return /\.(self_attn|mlp)\.\w+_proj\.weight$/.test(key) ? dtype : undefined;
}

/** @throws CheckpointError unless all is there that an answer takes. */
function expectParts(folder: ModelFolder, parts: ModelParts): void {
  const { path, family, clipNotFound } = folder;
  const refuse = (why: string): never => {
    throw new CheckpointError(`${path} ${why}`);
  };
  if (family === 'sam') refuse('is Segment Anything alone: open it with SegmentAnything.load, or give it to a model as the option sam');
  if (family === 'clip') refuse('is a CLIP tower alone: open the model that sees with it, and give it this as the option clip');
  if (family === 'llama') refuse('is a language model alone, which sees no images, expected mglmm, glamm, lisa or llava');
  const { missing } = parts;
  if (missing.includes('clip'))
    refuse(`has no CLIP tower, and ${clipNotFound ?? 'none'} is not beside it: give its folder as the option clip`);
  if (missing.length > 0) refuse(`has nothing of the part ${missing.join(', ')}, which a ${family} has`);
  expectWhole(folder, parts);
}

/** How to talk to the model. @throws CheckpointError when the tokenizer is another model's. */
function speechOf(
  { path, family, config, manifest }: ModelFolder,
  { llama, sam }: MglmmConfig,
  tokenizer: Tokenizer,
  template: TemplateName | undefined,
): { segId?: number; style: PromptOptions } {
  const { imagePrefix, template: own } = promptStyles[family as PromptFamily];
  const wrap = config.mm_use_im_start_end;
  const wrapImage = typeof wrap === 'boolean' ? wrap : undefined;
  const style = { imagePrefix, template: template ?? manifest?.template ?? own, wrapImage };
  const segId = sam && tokenizer.added.get(segToken);
  if (sam && segId === undefined)
    throw new CheckpointError(`${path}: the tokenizer has no ${segToken}, with which the model asks for masks`);
  const most = Math.max(segId ?? 0, ...promptIds(tokenizer, [{ question: '?' }], style));
  if (most >= llama.vocabSize) {
    throw new CheckpointError(`${path}: the tokenizer has token ${most}, the model ${llama.vocabSize} tokens: it is another model's`);
  }
  return { segId, style };
}
