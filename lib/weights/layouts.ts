/**
 * How published checkpoints name their tensors, and the keys of this package's modules for them: those of MGLMM's official
 * checkpoint. The family is told by names alone; the names of folders and `model_type` in config.json mislead.
 */
import { CheckpointError } from '../errors';

/** `llava` is LLaVA-1.5 in its own layout, `llava-hf` in that of Hugging Face; `llama` any language model of that architecture. */
export type Family = 'mglmm' | 'glamm' | 'lisa' | 'llava' | 'llava-hf' | 'llama' | 'clip' | 'sam';

export interface Layout {
  readonly family: Family;
  /** A dump of training that has LoRA matrices beside the weights: `mglmm merge` makes weights of them. */
  readonly lora: boolean;
  /** The key of a module for a tensor's name; null for what no module has a use for. A name it does not know is its own key. */
  keyOf(name: string): string | null;
}

/** Where the parts of MGLMM are, by key. */
export const samPrefix = 'model.segment_encoder.';
export const clipPrefix = 'model.vision_tower.vision_tower.';

/** Of a name, the part that matches becomes `to`. */
type Renaming = readonly [from: RegExp, to: string];

interface Naming {
  readonly family: Family;
  /** Names that only this family has. */
  readonly has: RegExp;
  readonly renamings: readonly Renaming[];
  readonly ignored: RegExp;
}

const buffers = /\.rotary_emb\.inv_freq$|\.embeddings\.position_ids$/;
const either = (...patterns: readonly RegExp[]) => new RegExp(patterns.map(({ source }) => source).join('|'));

/** In this order: the first whose names are there. */
const namings: readonly Naming[] = [
  { family: 'mglmm', has: /^model\.segment_encoder\./, renamings: [], ignored: buffers },
  {
    family: 'glamm',
    has: /^model\.grounding_encoder\./,
    renamings: [[/^model\.grounding_encoder\./, samPrefix]],
    // Features of boxes that the user draws; MGLMM has no counterpart.
    ignored: either(buffers, /^model\.region_encoder\./),
  },
  { family: 'lisa', has: /^model\.visual_model\./, renamings: [[/^model\.visual_model\./, samPrefix]], ignored: buffers },
  {
    family: 'llava-hf',
    has: /^(model\.)?language_model\./,
    renamings: [
      [/^language_model\.model\./, 'model.'],
      [/^language_model\.lm_head\./, 'lm_head.'],
      [/^model\.language_model\./, 'model.'],
      [/^(model\.)?multi_modal_projector\.linear_1\./, 'model.mm_projector.0.'],
      [/^(model\.)?multi_modal_projector\.linear_2\./, 'model.mm_projector.2.'],
      [/^(model\.)?vision_tower\.vision_model\./, `${clipPrefix}vision_model.`],
    ],
    ignored: buffers,
  },
  { family: 'llava', has: /^model\.(mm_projector|vision_tower)\./, renamings: [], ignored: buffers },
  { family: 'llama', has: /^model\.layers\.\d+\./, renamings: [], ignored: buffers },
  { family: 'sam', has: /^(image_encoder|mask_decoder)\./, renamings: [], ignored: /^pixel_(mean|std)$/ },
  {
    family: 'clip',
    has: /^vision_model\./,
    renamings: [],
    // The other half of CLIP, which reads captions.
    ignored: either(buffers, /^text_model\.|^(text|visual)_projection\.|^logit_scale$/),
  },
];

/** Programs that train wrap the model; the names of their dumps begin with the wrappers. */
const wrappers = /^(module\.)?(base_model\.model\.)?/;
/** PEFT: `q_proj.base_layer.weight`, `q_proj.lora_A.default.weight`, and for layers that are trained whole both copies. */
const inLayer = /\.(base_layer|modules_to_save\.[^.]+)\./;
const beforeTraining = /\.original_module\./;
const loraMatrix = /\.lora_(A|B)\.(?:[^.]+\.)?weight$/;

/** A name without what wrappers and PEFT add; a LoRA matrix ends in `lora_A` or `lora_B`, as in `LoraLinear`. */
const plain = (name: string): string => name.replace(wrappers, '').replace(inLayer, '.').replace(loraMatrix, '.lora_$1');

/**
 * The layout of a checkpoint with these names.
 * @throws CheckpointError when they are of no family that is known.
 */
export function layoutOf(names: readonly string[]): Layout {
  const known = names.map(plain);
  const naming = namings.find(({ has }) => known.some((name) => has.test(name)));
  if (naming === undefined) {
    const some = names.slice(0, 3).join(', ') || 'no tensors';
    throw new CheckpointError(
      `the tensors are of no known model: ${some}${names.length > 3 ? ' ...' : ''}; known are ${namings.map(({ family }) => family).join(', ')}`,
    );
  }
  const { family, renamings, ignored } = naming;
  const keyOf = (name: string): string | null => {
    const unwrapped = plain(name);
    if (ignored.test(unwrapped) || beforeTraining.test(unwrapped)) return null;
    const [from, to] = renamings.find(([pattern]) => pattern.test(unwrapped)) ?? [];
    return from ? unwrapped.replace(from, to as string) : unwrapped;
  };
  return { family, lora: names.some((name) => loraMatrix.test(name)), keyOf };
}

/** The keys of a part that is loaded into a larger model: as `layout`, with `prefix` in front. */
export function under(prefix: string, layout: Layout): Layout {
  const keyOf = (name: string): string | null => {
    const key = layout.keyOf(name);
    return key === null ? null : prefix + key;
  };
  return { ...layout, keyOf };
}

/** The parts of a model, by the key of a tensor. */
export type Part = 'llama' | 'projector' | 'textHiddenFcs' | 'clip' | 'sam' | 'other';

export function partOf(key: string): Part {
  if (key.startsWith(samPrefix) || /^(image_encoder|prompt_encoder|mask_decoder)\./.test(key)) return 'sam';
  if (key.startsWith(clipPrefix) || key.startsWith('vision_model.')) return 'clip';
  if (key.startsWith('model.mm_projector.')) return 'projector';
  if (key.startsWith('model.text_hidden_fcs.')) return 'textHiddenFcs';
  return /^(model\.(embed_tokens|layers|norm)|lm_head)\./.test(key) ? 'llama' : 'other';
}
