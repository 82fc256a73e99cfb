/**
 * A model with an adapter, beside the base that it adapts: its parts are the base's own but for those that the adapter changes, so
 * the base is held once however many adapters there are. Hu et al. 2021, arXiv 2106.09685.
 */
import { MglmmForCausalLM } from '../models/mglmm/model';
import { Linear } from '../nn/linear';
import { LoraLinear } from '../nn/lora';
import { Module, type PackGroup } from '../nn/module';
import { planAdapter } from '../weights/adapter';
import { loadGroups } from '../weights/load_module';
import type { StoredTensor } from '../weights/stored';

/** How the base was read, for the weights that an adapter takes the place of. */
export interface BaseWeights {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Of a weight that is held in 8 or 4 bits. */
  readonly quantize: (key: string) => 'int8' | 'int4' | undefined;
}

export interface AdaptedModel extends Disposable {
  readonly model: MglmmForCausalLM;
}

/**
 * @param folder - of a PEFT adapter: LoRA of any layers, and weights that were trained whole.
 * @returns a model that is disposed before `base` is.
 * @throws CheckpointError for what is no adapter of `base`; CheckpointNotFiniteError, AbortedError.
 */
export async function adaptedModel(
  base: MglmmForCausalLM,
  folder: string,
  { tensors, quantize }: BaseWeights,
  signal?: AbortSignal,
): Promise<AdaptedModel> {
  const plan = await planAdapter(folder, base);
  const model = new MglmmForCausalLM(base.config, { dtype: base.model.dtype });
  const owners = new Set(Array.from(model.packGroups(), ({ owner }) => owner));
  const changed = [...plan.tensors.keys()];
  const parts = base.parts();
  /** Beginnings of the keys of parts that are packed as one, which have nothing of the base. */
  const apart: string[] = [];
  model.substitute((key, part) => {
    const touches = (keys: readonly string[]) => keys.some((one) => one.startsWith(`${key}.`));
    const shared = apart.some((prefix) => key.startsWith(prefix)) ? part : (parts.get(key) ?? part);
    const lora = plan.layers.get(key);
    if (lora) {
      const adapted = new LoraLinear((touches(plan.whole) ? part : shared) as Linear, lora);
      owners.add(adapted);
      return adapted;
    }
    if (!touches(changed)) return shared;
    if (part.pack !== Module.prototype.pack && !(part instanceof Linear)) apart.push(`${key}.`);
    return undefined;
  });
  const own = [...model.packGroups()].filter(({ owner }) => owners.has(owner));
  const free = () => {
    for (const group of own) freeGroup(group);
  };
  try {
    await loadGroups(own, new Map([...tensors, ...plan.tensors]), { pack: true, quantize, signal });
  } catch (error) {
    free();
    throw error;
  }
  return { model, [Symbol.dispose]: free };
}

function freeGroup({ owner, keys }: PackGroup): void {
  const parameters = owner.stateDict();
  if (parameters.size === keys.length) owner.dispose();
  else for (const key of keys) parameters.get(key)?.dispose(); // what lies below may be the base's
}
