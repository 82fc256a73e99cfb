/** A model that will be trained, with what it speaks by: from a folder of weights, or new, of sizes that are given. */
import { ArgumentError, CheckpointError } from '../errors';
import { parseMglmmConfig } from '../models/mglmm/config';
import { MglmmForCausalLM } from '../models/mglmm/model';
import { mglmmConfigOf } from '../models/model_configs';
import type { Dtype } from '../native';
import type { LoraOptions } from '../nn/lora';
import { addLoraTo, loraLayers } from '../nn/lora_layers';
import { copyInto } from '../ops/copy_into';
import { randomNormal } from '../ops/random_normal';
import { noGradients } from '../tensor/ambient';
import { tidy } from '../tensor/scope';
import { type PromptFamily, promptStyles, type TemplateName } from '../text/template';
import { loadTokenizer } from '../text/tokenizer';
import { imageEnd, segToken } from '../text/tokens';
import { loadModule } from '../weights/load_module';
import { openModelFolder } from '../weights/model_folder';
import type { Speech } from './example';

export interface ModelChoice {
  /** Folder of a model; or, with `sizes`, none. */
  readonly path?: string;
  /** Instead of a folder: sizes in the fields of Hugging Face's config.json, `text_config`, `vision_config`, `segment_encoder_config`. */
  readonly sizes?: Readonly<Record<string, unknown>>;
  readonly clip?: string;
  readonly sam?: string;
  /** Folder of the tokenizer; default the model's. */
  readonly tokenizer?: string;
  readonly template?: TemplateName;
  readonly dtype: Dtype;
  /** Of the values of what is new. */
  readonly seed: number;
}

export interface OpenedModel extends Disposable {
  readonly model: MglmmForCausalLM;
  readonly speech: Speech;
  /** Folder of the tokenizer. */
  readonly tokenizerPath: string;
  /** Whose way of speaking it is trained in, and is to be asked in. */
  readonly family: PromptFamily;
  /** Paths of config.json and the like, which say the rest of that. */
  readonly configFiles: readonly string[];
}

/**
 * @param options.values - false: sizes only, no weight is read and no memory taken.
 * @throws CheckpointError and its kinds, TokenizerError, ArgumentError for sizes that make no model.
 */
export async function openModel(choice: ModelChoice, options: { values?: boolean; signal?: AbortSignal } = {}): Promise<OpenedModel> {
  const { values = true, signal } = options;
  return choice.sizes ? newModel(choice, values) : storedModel(choice, values, signal);
}

async function newModel(choice: ModelChoice, values: boolean): Promise<OpenedModel> {
  if (choice.tokenizer === undefined) throw new ArgumentError('model: a new model has no tokenizer of its own: give the folder of one');
  const model = new MglmmForCausalLM(parseMglmmConfig(choice.sizes), { dtype: choice.dtype });
  if (values) initialize(model, choice.seed);
  return finish(model, choice, { family: model.config.sam ? 'mglmm' : 'llava', tokenizerPath: choice.tokenizer, configFiles: [] });
}

async function storedModel(choice: ModelChoice, values: boolean, signal?: AbortSignal): Promise<OpenedModel> {
  const { path } = choice;
  if (path === undefined) throw new ArgumentError('model: neither path nor sizes is given, expected one of them');
  const folder = await openModelFolder(path, { clip: choice.clip, sam: choice.sam });
  const config = mglmmConfigOf(folder);
  const model = new MglmmForCausalLM(config, { dtype: choice.dtype });
  try {
    if (values) await loadModule(model, folder.sources, { signal });
    const { family, configFiles, manifest } = folder;
    const wrap = folder.config.mm_use_im_start_end;
    return await finish(
      model,
      { template: choice.template ?? manifest?.template },
      { family: family in promptStyles ? (family as PromptFamily) : 'mglmm', tokenizerPath: choice.tokenizer ?? path, configFiles },
      typeof wrap === 'boolean' ? wrap : undefined,
    );
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function finish(
  model: MglmmForCausalLM,
  { template }: Pick<ModelChoice, 'template'>,
  origin: Pick<OpenedModel, 'family' | 'tokenizerPath' | 'configFiles'>,
  wrapImage?: boolean,
): Promise<OpenedModel> {
  const { tokenizerPath } = origin;
  const tokenizer = await loadTokenizer(tokenizerPath);
  const own = promptStyles[origin.family];
  const { llama, sam } = model.config;
  const segId = sam && tokenizer.idOf(segToken);
  if (sam && segId === undefined)
    throw new CheckpointError(`${tokenizerPath}: the tokenizer has no ${segToken}, which the model asks for masks with`);
  const most = Math.max(tokenizer.size - 1, segId ?? 0, tokenizer.idOf(imageEnd) ?? 0);
  if (most >= llama.vocabSize)
    throw new CheckpointError(
      `${tokenizerPath}: the tokenizer has token ${most}, the model only ${llama.vocabSize}: it is another model's`,
    );
  const style = { imagePrefix: own.imagePrefix, template: template ?? own.template, wrapImage };
  return { model, speech: { tokenizer, style, segId }, ...origin, [Symbol.dispose]: () => model.dispose() };
}

/**
 * Layers begin as PyTorch's do. The places of CLIP's patches begin with a deviation of 0.02, as they did (Radford et al. 2021,
 * https://arxiv.org/abs/2103.00020), so that they do not hide what the patches show; and so does a table of words that is the head
 * too, whose logits would be too large. A table by itself has 1: what layers add to a word's state must not drown which word it is,
 * or the model is long in learning to repeat a word of the question.
 */
function initialize(model: MglmmForCausalLM, seed: number): void {
  model.initialize(seed);
  const small = [model.clip.embeddings.positionEmbedding, ...(model.lmHead ? [] : [model.model.embedTokens])];
  tidy(() =>
    noGradients(() => {
      for (const [i, { weight }] of small.entries())
        copyInto(randomNormal(weight.shape, { seed: seed + 1 + i, std: 0.02, dtype: weight.dtype }), weight);
    }),
  );
}

export interface LoraChoice extends LoraOptions {
  /** Ends of keys of linear layers; default q_proj and v_proj. */
  readonly targets?: readonly string[];
  /** Regular expression for the keys of layers that may be chosen; default those of the language model. */
  readonly within?: string;
}

export const defaultTargets = ['q_proj', 'v_proj'];
export const defaultWithin = '^model\\.layers\\.';

/**
 * Puts LoRA around the layers that are chosen, beginning as nothing.
 * @returns their keys.
 */
export function addLora(model: MglmmForCausalLM, choice: LoraChoice, seed: number): string[] {
  const { targets = defaultTargets, within = defaultWithin, ...options } = choice;
  const place = new RegExp(within);
  const isTarget = (key: string) => place.test(key) && targets.some((target) => key === target || key.endsWith(`.${target}`));
  const keys = addLoraTo(model, isTarget, options);
  for (const [i, layer] of [...loraLayers(model).values()].entries()) layer.resetUpdate(seed + i);
  return keys;
}
