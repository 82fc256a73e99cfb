/** Sizes of the parts in a folder of weights: as its manifest says, or its config.json, or the shapes of its tensors. */
import { ArgumentError } from '../errors';
import { clipPrefix, type Part, partOf, samPrefix } from '../weights/layouts';
import { manifestFile } from '../weights/manifest';
import type { ModelFolder } from '../weights/model_folder';
import { type ClipConfig, clipPresets, inferClipConfig, parseClipConfig, usedLayers } from './clip/config';
import { inferLlamaConfig, type LlamaConfig, parseLlamaConfig } from './llama/config';
import type { MglmmConfig } from './mglmm/config';
import { inferSamConfig, parseSamConfig, type SamConfig, samPresets } from './sam/config';

/** Of the parts that are there. */
export interface ModelConfigs {
  readonly llama?: LlamaConfig;
  readonly clip?: ClipConfig;
  readonly sam?: SamConfig;
}

type Shapes = ReadonlyMap<string, readonly number[]>;
type Json = ModelFolder['config'];

/** Shapes by key. */
export const shapesOf = ({ tensors }: ModelFolder): Shapes => new Map(Array.from(tensors, ([key, { shape }]) => [key, shape]));

export const partsIn = (shapes: Shapes): ReadonlySet<Part> => new Set(Array.from(shapes.keys(), partOf));

/** LISA's first checkpoints have a projector of one layer. */
export const projectorOf = (shapes: Shapes): MglmmConfig['projector'] => (shapes.has('model.mm_projector.weight') ? 'linear' : 'mlp');

/** A tower's key as in a checkpoint of the tower alone. */
export const withoutPrefix = (key: string): string =>
  [clipPrefix, samPrefix].reduce((rest, prefix) => (rest.startsWith(prefix) ? rest.slice(prefix.length) : rest), key);

/** Told, in a sentence, what no file says and shapes cannot tell. */
type Guess = (sentence: string) => void;
const untold = 'no mglmm.json or config.json tells, expected one that does in the folder that is opened';

/** @throws ArgumentError when a configuration makes no sense, or a tensor that tells a size is not there. */
export function configsOf(folder: ModelFolder, guess: Guess = () => {}): ModelConfigs {
  const { manifest, config } = folder;
  const written = (manifest?.config ?? {}) as ModelConfigs;
  for (const part of ['llama', 'clip', 'sam'] as const) expectFields(part, written[part]);
  const shapes = shapesOf(folder);
  const present = partsIn(shapes);
  // A tower that was left out and is given again is none of the manifest's.
  const isUntold = (part: keyof ModelConfigs) => present.has(part) && written[part] === undefined;
  const alone = new Map(Array.from(shapes, ([key, shape]) => [withoutPrefix(key), shape]));
  return {
    ...written,
    ...(isUntold('llama') ? { llama: llamaOf(config, shapes, guess) } : {}),
    ...(isUntold('clip') ? { clip: clipOf(folder, alone, guess) } : {}),
    ...(isUntold('sam') ? { sam: samOf(config, alone, guess) } : {}),
  };
}

/**
 * Sizes of a model that reads images.
 * @throws ArgumentError when LLaMA or CLIP is not in the folder, or as {@link configsOf}.
 */
export function mglmmConfigOf(folder: ModelFolder): MglmmConfig {
  const { llama, clip, sam } = configsOf(folder);
  if (!llama) throw new ArgumentError(`${folder.path} holds a ${folder.family} without a language model, expected a model that answers`);
  if (!clip) {
    throw new ArgumentError(
      `${folder.path} has no CLIP tower, expected ${folder.clipNotFound ?? 'one'} in it or beside it: say where with clip`,
    );
  }
  return { llama, clip, sam, projector: projectorOf(shapesOf(folder)) };
}

/** Of every field a value of its kind. */
const examples: Required<ModelConfigs> = {
  llama: { vocabSize: 1, dim: 1, mlpDim: 1, depth: 1, heads: 1, kvHeads: 1, headDim: 1, eps: 1, ropeBase: 1, context: 1, tiedHead: false },
  clip: clipPresets['vit-large-patch14-336'],
  sam: samPresets.vit_h,
};

function expectFields(part: keyof ModelConfigs, config: object | undefined): void {
  if (config === undefined) return;
  for (const [field, value] of Object.entries(examples[part])) {
    const got: unknown = Reflect.get(config, field);
    const fits = typeof got === typeof value && Array.isArray(got) === Array.isArray(value);
    if (fits) continue;
    const said = `${manifestFile}: config.${part}.${field} is ${JSON.stringify(got) ?? 'missing'}`;
    throw new ArgumentError(`${said}, expected such as ${JSON.stringify(value)}`);
  }
}

/** llava-hf's `text_config` leaves out what is as in LLaMA 7B, so that shapes must tell. */
function llamaOf(config: Json, shapes: Shapes, guess: Guess): LlamaConfig {
  if ('hidden_size' in config) return parseLlamaConfig(config);
  const inferred = inferLlamaConfig(shapes);
  const { vocabSize, dim, mlpDim, depth, heads, kvHeads, context } = inferred;
  if (typeof config.text_config !== 'object') {
    guess(`llama: ${heads} heads and ${context} positions are guessed: ${untold}`);
    return inferred;
  }
  return parseLlamaConfig({
    vocab_size: vocabSize,
    hidden_size: dim,
    intermediate_size: mlpDim,
    num_hidden_layers: depth,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    ...config.text_config,
  });
}

/** Relatives of LLaVA-1.5 that make masks keep its `image_aspect_ratio`, and yet are shown the middle square. */
function clipOf({ family, config, clipConfig }: ModelFolder, alone: Shapes, guess: Guess): ClipConfig {
  const json = clipConfig ?? ('vision_config' in config ? config : undefined);
  const sizes = json ? parseClipConfig(json) : inferClipConfig(alone);
  const layer = config.mm_vision_select_layer ?? config.vision_feature_layer;
  const feature = config.mm_vision_select_feature;
  const clip: ClipConfig = {
    ...sizes,
    ...(typeof layer === 'number' ? { selectLayer: layer } : {}),
    ...(feature === 'patch' || feature === 'cls_patch' ? { selectFeature: feature } : {}),
    ...(family === 'llava' && config.image_aspect_ratio === 'pad' ? { padToSquare: true } : {}),
  };
  if (!json && !isPublished(clip, clipPresets))
    guess(`clip: ${clip.heads} heads, and features of layer ${usedLayers(clip)} of ${clip.depth}, are guessed: ${untold}`);
  return clip;
}

function samOf(config: Json, alone: Shapes, guess: Guess): SamConfig {
  if ('segment_encoder_config' in config) return parseSamConfig(config.segment_encoder_config);
  const sam = inferSamConfig(alone);
  if (!isPublished(sam, samPresets)) guess(`sam: ${sam.decoderHeads} heads of the mask decoder are guessed: ${untold}`);
  return sam;
}

/** Whose files say no more than their shapes. */
const isPublished = <Config extends ClipConfig | SamConfig>({ dim, depth }: Config, presets: Readonly<Record<string, Config>>): boolean =>
  Object.values(presets).some((one) => one.dim === dim && one.depth === depth);
