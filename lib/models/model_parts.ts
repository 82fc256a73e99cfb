/** Which parts a folder of weights is made of, of what sizes, and whether it has all of their tensors and no others. */
import { ArgumentError } from '../errors';
import { compareShapes, type Difference } from '../nn/difference';
import type { Module } from '../nn/module';
import { clipPrefix, type Family, type Part, partOf, samPrefix } from '../weights/layouts';
import { manifestFile } from '../weights/manifest';
import type { ModelFolder } from '../weights/model_folder';
import { type ClipConfig, clipPresets, inferClipConfig, isUnusedClipKey, parseClipConfig } from './clip/config';
import { Clip } from './clip/model';
import { inferLlamaConfig, type LlamaConfig, parseLlamaConfig } from './llama/config';
import { LlamaForCausalLM } from './llama/model';
import { inferSamConfig, parseSamConfig, type SamConfig, samPresets } from './sam/config';
import { Sam } from './sam/model';

/** Sizes of the parts that are there. */
export interface ModelConfigs {
  readonly llama?: LlamaConfig;
  readonly clip?: ClipConfig;
  readonly sam?: SamConfig;
}

export interface ModelParts {
  readonly configs: ModelConfigs;
  /** Parts that the family has and the folder has nothing of. */
  readonly missing: readonly Part[];
  /** Of the parts that are there. */
  readonly difference: Difference;
}

type Shapes = ReadonlyMap<string, readonly number[]>;

const grounded: readonly Part[] = ['llama', 'projector', 'textHiddenFcs', 'sam', 'clip'];
const partsOf: Readonly<Record<Family, readonly Part[]>> = {
  mglmm: grounded,
  glamm: grounded,
  lisa: grounded,
  llava: ['llama', 'projector', 'clip'],
  'llava-hf': ['llama', 'projector', 'clip'],
  llama: ['llama'],
  clip: ['clip'],
  sam: ['sam'],
};

/**
 * @throws ArgumentError when a configuration makes no sense, or a tensor that tells a size is not there.
 */
export function modelParts(folder: ModelFolder): ModelParts {
  const shapes = new Map(Array.from(folder.tensors, ([key, { shape }]) => [key, shape]));
  const present = new Set(Array.from(shapes.keys(), partOf));
  const configs = configsOf(folder, shapes, present);
  const { missing, unexpected, misshapen } = compareShapes(expectedShapes(configs, shapes, present), shapes);
  const { clip } = configs;
  return {
    configs,
    missing: partsOf[folder.family].filter((part) => !present.has(part)),
    difference: { missing, misshapen, unexpected: unexpected.filter((key) => !(clip && isUnusedClipKey(withoutPrefix(key), clip))) },
  };
}

/** Of every field a value of its kind. */
const examples: Required<ModelConfigs> = {
  llama: { vocabSize: 1, dim: 1, mlpDim: 1, depth: 1, heads: 1, kvHeads: 1, headDim: 1, eps: 1, ropeBase: 1, context: 1, tiedHead: false },
  clip: clipPresets['vit-large-patch14-336'],
  sam: samPresets.vit_h,
};

function expectFields(what: string, config: object | undefined, example: object): void {
  if (config === undefined) return;
  for (const [field, value] of Object.entries(example)) {
    const got: unknown = Reflect.get(config, field);
    const fits = typeof got === typeof value && Array.isArray(got) === Array.isArray(value);
    if (!fits)
      throw new ArgumentError(`${what}.${field} is ${JSON.stringify(got) ?? 'missing'}, expected such as ${JSON.stringify(value)}`);
  }
}

/** As in a checkpoint of the tower alone. */
const withoutPrefix = (key: string): string =>
  [clipPrefix, samPrefix].reduce((rest, prefix) => (rest.startsWith(prefix) ? rest.slice(prefix.length) : rest), key);

function configsOf({ manifest, config, clipConfig }: ModelFolder, shapes: Shapes, present: ReadonlySet<Part>): ModelConfigs {
  if (manifest) {
    for (const [part, example] of Object.entries(examples))
      expectFields(`${manifestFile}: config.${part}`, manifest.config[part as keyof ModelConfigs], example);
    return manifest.config as ModelConfigs;
  }
  const alone = new Map(Array.from(shapes, ([key, shape]) => [withoutPrefix(key), shape]));
  return {
    ...(present.has('llama') ? { llama: llamaOf(config, shapes) } : {}),
    ...(present.has('clip') ? { clip: clipOf(config, clipConfig, alone) } : {}),
    ...(present.has('sam')
      ? { sam: 'segment_encoder_config' in config ? parseSamConfig(config.segment_encoder_config) : inferSamConfig(alone) }
      : {}),
  };
}

/** llava-hf's `text_config` leaves out what is as in LLaMA 7B, so that shapes must tell. */
function llamaOf(config: ModelFolder['config'], shapes: Shapes): LlamaConfig {
  if ('hidden_size' in config) return parseLlamaConfig(config);
  const inferred = inferLlamaConfig(shapes);
  const { vocabSize, dim, mlpDim, depth, heads, kvHeads } = inferred;
  const sizes = {
    vocab_size: vocabSize,
    hidden_size: dim,
    intermediate_size: mlpDim,
    num_hidden_layers: depth,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
  };
  return typeof config.text_config === 'object' ? parseLlamaConfig({ ...sizes, ...config.text_config }) : inferred;
}

function clipOf(config: ModelFolder['config'], clipConfig: ModelFolder['clipConfig'], alone: Shapes): ClipConfig {
  const json = clipConfig ?? ('vision_config' in config ? config : undefined);
  const sizes = json ? parseClipConfig(json) : inferClipConfig(alone);
  const layer = config.mm_vision_select_layer ?? config.vision_feature_layer;
  const feature = config.mm_vision_select_feature;
  return {
    ...sizes,
    ...(typeof layer === 'number' ? { selectLayer: layer } : {}),
    ...(feature === 'patch' || feature === 'cls_patch' ? { selectFeature: feature } : {}),
  };
}

/** The tensors of modules of these sizes. Modules take no memory before they have values. */
function expectedShapes({ llama, clip, sam }: ModelConfigs, shapes: Shapes, present: ReadonlySet<Part>): Shapes {
  const expected = new Map<string, readonly number[]>();
  const add = (prefix: string, module: Module) => {
    for (const [key, { shape }] of module.namedParameters(prefix)) expected.set(key, shape);
    module.dispose();
  };
  const towerAlone = !present.has('llama');
  if (llama) add('', LlamaForCausalLM.of(llama));
  if (clip) add(towerAlone ? '' : clipPrefix, new Clip(clip));
  if (sam) add(towerAlone ? '' : samPrefix, new Sam(sam));
  const dense = (key: string, inSize: number, outSize: number) => {
    expected.set(`${key}.weight`, [outSize, inSize]);
    expected.set(`${key}.bias`, [outSize]);
  };
  const features = clip?.dim ?? shapes.get('model.mm_projector.0.weight')?.[1] ?? shapes.get('model.mm_projector.weight')?.[1];
  if (llama && features !== undefined && present.has('projector')) {
    // LISA's first checkpoints have a projector of one layer.
    if (shapes.has('model.mm_projector.weight')) dense('model.mm_projector', features, llama.dim);
    else {
      dense('model.mm_projector.0', features, llama.dim);
      dense('model.mm_projector.2', llama.dim, llama.dim);
    }
  }
  if (llama && sam && present.has('textHiddenFcs')) {
    dense('model.text_hidden_fcs.0.0', llama.dim, llama.dim);
    dense('model.text_hidden_fcs.0.2', llama.dim, sam.promptDim);
  }
  return expected;
}
