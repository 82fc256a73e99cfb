/** Whether a folder of weights has all tensors of the parts that it is made of, and no others. */
import { compareShapes, type Difference } from '../nn/difference';
import type { Module } from '../nn/module';
import { type Family, type Part, partOf } from '../weights/layouts';
import type { ModelFolder } from '../weights/model_folder';
import { clipPresets, isUnusedClipKey } from './clip/config';
import { Clip } from './clip/model';
import { LlamaForCausalLM } from './llama/model';
import { MglmmForCausalLM } from './mglmm/model';
import { configsOf, type ModelConfigs, partsIn, projectorOf, shapesOf, withoutPrefix } from './model_configs';
import { Sam } from './sam/model';

export interface ModelParts {
  readonly configs: ModelConfigs;
  /** Parts that the family has and the folder has nothing of. */
  readonly missing: readonly Part[];
  /** Of the parts that are there. */
  readonly difference: Difference;
  /** What had to be guessed of the configurations, in sentences: other values are another network. */
  readonly guesses: readonly string[];
}

const grounded: readonly Part[] = ['llama', 'projector', 'textHiddenFcs', 'sam', 'clip'];
const reading: readonly Part[] = ['llama', 'projector', 'clip'];
const partsOf: Readonly<Record<Family, readonly Part[]>> = {
  mglmm: grounded,
  glamm: grounded,
  lisa: grounded,
  llava: reading,
  'llava-hf': reading,
  llama: ['llama'],
  clip: ['clip'],
  sam: ['sam'],
};

/** @throws ArgumentError when a configuration makes no sense, or a tensor that tells a size is not there. */
export function modelParts(folder: ModelFolder): ModelParts {
  const shapes = shapesOf(folder);
  const present = partsIn(shapes);
  const guesses: string[] = [];
  const configs = configsOf(folder, (sentence) => guesses.push(sentence));
  const expected = new Map<string, readonly number[]>();
  for (const module of modulesOf(configs, shapes)) {
    for (const [key, { shape }] of module.namedParameters()) if (present.has(partOf(key))) expected.set(key, shape);
    module.dispose();
  }
  const { missing, unexpected, misshapen } = compareShapes(expected, shapes);
  const { clip } = configs;
  return {
    configs,
    guesses,
    missing: partsOf[folder.family].filter((part) => !present.has(part)),
    difference: { missing, misshapen, unexpected: unexpected.filter((key) => !(clip && isUnusedClipKey(withoutPrefix(key), clip))) },
  };
}

/** Modules whose keys are those of the folder, and more where parts are missing. They have no values and take no memory. */
function modulesOf({ llama, clip, sam }: ModelConfigs, shapes: ReadonlyMap<string, readonly number[]>): Module[] {
  if (!llama) return [...(clip ? [new Clip(clip)] : []), ...(sam ? [new Sam(sam)] : [])];
  const projector = projectorOf(shapes);
  const features = shapes.get(projector === 'linear' ? 'model.mm_projector.weight' : 'model.mm_projector.0.weight')?.[1];
  if (!clip && !sam && features === undefined) return [LlamaForCausalLM.of(llama)];
  // Where the tower is not there, the projector tells the width of its features.
  const tower = clip ?? { ...clipPresets['vit-large-patch14'], dim: features ?? clipPresets['vit-large-patch14'].dim };
  return [new MglmmForCausalLM({ llama, clip: tower, sam, projector })];
}
