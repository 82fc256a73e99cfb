/**
 * What training changed, in the form of PEFT: LoRA matrices and the weights that were trained whole, beside a configuration. Other
 * programs read what is written here, and what they wrote is read. https://github.com/huggingface/peft
 */
import { mkdir } from 'node:fs/promises';
import { CheckpointError } from '../errors';
import { Linear } from '../nn/linear';
import type { LoraOptions } from '../nn/lora';
import { addLoraTo, loraLayers } from '../nn/lora_layers';
import type { Module } from '../nn/module';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { openAdapter } from './merge_lora';
import { readTensor } from './read_tensor';
import { isFloating, type StoredTensor } from './stored';
import { computedToWrite } from './stored_pieces';
import { writeCheckpoint, writeHashed } from './write_checkpoint';

/** What PEFT puts in front of the names of a wrapped model. */
const wrapper = 'base_model.model.';
const isMatrix = (key: string): boolean => /\.lora_[AB]$/.test(key);

export interface AdapterToWrite {
  /** Keys of weights that were trained whole. */
  readonly whole?: readonly string[];
  /** Where the base is: `mglmm merge` looks there. */
  readonly baseName?: string;
}

/**
 * Writes the LoRA of `module`, and the weights named in `whole`, into a folder, which is made where it is not there.
 * @throws CheckpointError when there is no LoRA, or it differs from layer to layer in rank or scale.
 */
export async function writeAdapter(folder: string, module: Module, { whole = [], baseName }: AdapterToWrite = {}): Promise<void> {
  const layers = loraLayers(module);
  const [first] = layers.values();
  if (!first) throw new CheckpointError('adapter: the module has no LoRA, expected some: see addLoraTo');
  const rank = first.loraA.shape[0] as number;
  const other = [...layers].find(([, layer]) => layer.loraA.shape[0] !== rank || layer.scaling !== first.scaling);
  if (other) throw new CheckpointError(`adapter: the LoRA of ${other[0]} has another rank or scale than the first, expected one for all`);
  const state = module.stateDict();
  const tensors = [...state].flatMap(([key, tensor]) => {
    if (!isMatrix(key) && !whole.includes(key)) return [];
    return [[`${wrapper}${key}${isMatrix(key) ? '.weight' : ''}`, tensor] as const];
  });
  await mkdir(folder, { recursive: true });
  const modules = [...new Set(whole.filter((key) => !isMatrix(key)).map(moduleOf))];
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseName ?? null,
    inference_mode: true,
    r: rank,
    lora_alpha: first.scaling * rank,
    lora_dropout: first.dropout,
    target_modules: targetsOf(module, layers),
    modules_to_save: modules.length > 0 ? modules : null,
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    layers_to_transform: null,
    layers_pattern: null,
    revision: null,
  };
  const pieces = tensors.map(([name, tensor]) => computedToWrite(name, tensor.shape, tensor.dtype, () => Promise.resolve(tensor)));
  await writeCheckpoint(folder, pieces, { shardBytes: Number.POSITIVE_INFINITY, name: 'adapter_model' });
  await writeHashed(folder, 'adapter_config.json', `${JSON.stringify(config, undefined, 2)}\n`);
}

/** The module that PEFT would keep a copy of: `model.embed_tokens.weight` is of `model.embed_tokens`. */
const moduleOf = (key: string): string => key.slice(0, key.lastIndexOf('.'));

/** The last names of the layers, as everyone writes them, where they mean these layers and no others; else their whole keys. */
function targetsOf(module: Module, layers: ReadonlyMap<string, unknown>): string[] {
  const short = [...new Set(Array.from(layers.keys(), (key) => key.slice(key.lastIndexOf('.') + 1)))];
  const isMeant = (key: string) => short.some((name) => key === name || key.endsWith(`.${name}`));
  const others = [...module.parts()].some(([key, part]) => part instanceof Linear && isMeant(key));
  return others ? [...layers.keys()] : short;
}

/** An adapter that fits a module. */
export interface AdapterPlan {
  /** The LoRA of layers, by key. */
  readonly layers: ReadonlyMap<string, LoraOptions>;
  /** Keys of weights that the adapter's take the place of. */
  readonly whole: readonly string[];
  /** LoRA matrices and whole weights, by key. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Looks at what an adapter would change in `module`; nothing of its values is read.
 * @throws CheckpointError for what is no adapter, or does not fit.
 */
export async function planAdapter(folder: string, module: Module): Promise<AdapterPlan> {
  const adapter = await openAdapter(folder);
  if (!adapter) throw new CheckpointError(`${folder} has no adapter_config.json, expected the folder of a PEFT adapter`);
  const { tensors } = adapter;
  const state = module.stateDict();
  const parts = module.parts();
  const layers = new Map<string, LoraOptions>();
  const names = new Set([...tensors.keys()].filter(isMatrix).map((key) => key.slice(0, -'.lora_A'.length)));
  for (const layer of names) {
    const [weight, a, b] = [state.get(`${layer}.weight`), tensors.get(`${layer}.lora_A`), tensors.get(`${layer}.lora_B`)];
    if (!weight || !a || !b) throw new CheckpointError(`${folder}: ${layer} has ${!weight ? 'no weight in the model' : 'half of a LoRA'}`);
    const [outSize, inSize] = weight.shape;
    const rank = a.shape[0] as number;
    if (a.shape.join() !== [rank, inSize].join() || b.shape.join() !== [outSize, rank].join()) {
      const got = `lora_A [${a.shape.join(', ')}] and lora_B [${b.shape.join(', ')}]`;
      throw new CheckpointError(`${folder}: ${layer} has ${got}, expected [r, ${inSize}] and [${outSize}, r]`);
    }
    if (!(parts.get(layer) instanceof Linear))
      throw new CheckpointError(`${folder}: ${layer} is no linear layer without LoRA, expected one`);
    layers.set(layer, { rank, alpha: adapter.scaling(`${layer}.weight`, rank) * rank });
  }
  const whole = [...tensors.keys()].filter((key) => !isMatrix(key));
  for (const key of whole) {
    const [wanted, got] = [state.get(key)?.shape, tensors.get(key)?.shape ?? []];
    if (!wanted || wanted.join() !== got.join()) {
      throw new CheckpointError(
        `${folder}: ${key} is [${got.join(', ')}], expected ${wanted ? `[${wanted.join(', ')}]` : 'a weight of the model'}`,
      );
    }
  }
  const integer = [...tensors].find(([, { dtype }]) => !isFloating(dtype));
  if (integer) throw new CheckpointError(`${folder}: ${integer[0]} is ${integer[1].dtype}, expected numbers with fractions`);
  return { layers, whole, tensors };
}

/** What an adapter changed in a module. */
export interface LoadedAdapter {
  /** Keys of layers that have LoRA now. */
  readonly layers: readonly string[];
  /** Keys of weights that the adapter's took the place of. */
  readonly whole: readonly string[];
}

/**
 * Puts an adapter's LoRA around the layers of `module` and its whole weights in their places.
 * @throws CheckpointError for what is no adapter, or does not fit; nothing was changed then.
 */
export async function loadAdapter(folder: string, module: Module): Promise<LoadedAdapter> {
  const { layers, whole, tensors } = await planAdapter(folder, module);
  for (const [layer, options] of layers) addLoraTo(module, (key) => key === layer, options);
  for (const [key, stored] of tensors) {
    await tidy(async () => {
      const { dtype, device } = module.stateDict().get(key) as Tensor;
      module.loadSome(new Map([[key, await readTensor(stored, dtype, device)]]));
    });
  }
  return { layers: [...layers.keys()], whole };
}
