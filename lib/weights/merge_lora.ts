/**
 * Low-rank corrections taken up into the weights they correct: `W + scaling B A`, summed in f32 whatever W is stored as. Hu et
 * al. 2021, https://arxiv.org/abs/2106.09685; the files of PEFT and of the published training programs.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../errors';
import type { Dtype } from '../native';
import { differenceError } from '../nn/difference';
import { cast } from '../ops/cast';
import { mergeLora } from '../ops/lora_linear';
import { readJsonObject } from './json_file';
import { layoutOf } from './layouts';
import { openCheckpoint } from './open_checkpoint';
import { readDtype, readTensor } from './read_tensor';
import { refuse } from './refuse';
import { type KeyedTensors, keyedTensors } from './sources';
import type { StoredTensor } from './stored';
import { computedToWrite, storedToWrite } from './stored_pieces';
import type { TensorToWrite } from './write_checkpoint';

type Tensors = KeyedTensors['tensors'];

/** What the matrices of a weight are multiplied by: alpha / rank. */
export type Scaling = (key: string, rank: number) => number;

export interface Adapter {
  /** LoRA matrices, and weights that were trained whole and stand for those of the base. */
  readonly tensors: Tensors;
  readonly scaling: Scaling;
  /** The base, as the adapter names it: often a folder of whoever trained it. */
  readonly baseName?: string;
}

/** alpha = 16 with rank 8 is what LISA, GLaMM and MGLMM were trained with. */
export const defaultAlpha = 16;

export const alphaOverRank =
  (alpha: number): Scaling =>
  (_key, rank) =>
    alpha / rank;

const adapterConfig = z.object({
  lora_alpha: z.number(),
  base_model_name_or_path: z.string().nullish(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.literal(false).nullish(),
  fan_in_fan_out: z.literal(false).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
});

const adapterFile = 'adapter_config.json';

/**
 * The adapter in a folder of PEFT, with the `non_lora_trainables.bin` that LLaVA puts beside it.
 * @returns undefined when the folder is of another kind.
 * @throws CheckpointFormatError for a configuration that is not LoRA as described above.
 */
export async function openAdapter(folder: string): Promise<Adapter | undefined> {
  const present = await readdir(folder).catch(() => [] as string[]);
  if (!present.includes(adapterFile)) return undefined;
  const path = join(folder, adapterFile);
  const { data, error } = adapterConfig.safeParse(await readJsonObject(path));
  if (error) refuse(path, error.issues.map((issue) => `${issue.path.join('.') || 'config'}: ${issue.message}`).join('; '), error);
  const matrices = ['adapter_model.safetensors', 'adapter_model.bin'].find((file) => present.includes(file));
  if (matrices === undefined) refuse(folder, 'has no adapter_model.safetensors or adapter_model.bin');
  const files = [matrices, 'non_lora_trainables.bin'].filter((file) => present.includes(file));
  const checkpoints = await Promise.all(files.map((file) => openCheckpoint(join(folder, file))));
  const { keyOf } = layoutOf(checkpoints.flatMap(({ names }) => names));
  const { tensors } = keyedTensors(checkpoints.map((checkpoint) => ({ checkpoint, keyOf })));
  const patterns = Object.entries(data.alpha_pattern ?? {});
  const scaling: Scaling = (key, rank) => {
    const layer = key.replace(/\.weight$/, '');
    const alpha = patterns.find(([pattern]) => layer === pattern || layer.endsWith(`.${pattern}`))?.[1] ?? data.lora_alpha;
    return alpha / (data.use_rslora ? Math.sqrt(rank) : rank);
  };
  return { tensors, scaling, baseName: data.base_model_name_or_path ?? undefined };
}

export interface Merged {
  readonly tensors: readonly TensorToWrite[];
  /** Keys of weights that took up a correction, and of those that an adapter replaced. */
  readonly corrected: readonly string[];
  readonly replaced: readonly string[];
}

/**
 * @param base - weights by key; of a raw dump the LoRA matrices are among them.
 * @param dtype - of the result; default that of each weight of the base.
 * @throws CheckpointError when a matrix has no partner or no weight, or shapes do not fit, before anything is computed.
 */
export function mergeAdapter(base: Tensors, adapter: Adapter, dtype?: Dtype): Merged {
  const matrices = new Map([...base, ...adapter.tensors].filter(([key]) => isLora(key)));
  const replaced = [...adapter.tensors.keys()].filter((key) => !isLora(key));
  const weights = new Map([...base, ...adapter.tensors].filter(([key]) => !isLora(key)));
  expectKnown(base, replaced);
  const pairs = new Map<string, [StoredTensor, StoredTensor]>();
  for (const [key, a] of matrices) {
    if (!key.endsWith('.lora_A')) continue;
    const [layer, weightKey] = [key.slice(0, -'.lora_A'.length), `${key.slice(0, -'.lora_A'.length)}.weight`];
    pairs.set(weightKey, expectPair(layer, weights.get(weightKey), a, matrices.get(`${layer}.lora_B`)));
  }
  const alone = [...matrices.keys()].find((key) => key.endsWith('.lora_B') && !matrices.has(`${key.slice(0, -1)}A`));
  if (alone) throw new CheckpointError(`${alone} has no lora_A beside it`);
  if (pairs.size === 0) throw new CheckpointError('there are no LoRA matrices to merge');
  const tensors = Array.from(weights, ([key, stored]) => {
    const pair = pairs.get(key);
    return pair ? corrected(key, stored, pair, adapter.scaling(key, pair[0].shape[0] as number), dtype) : storedToWrite(key, stored, dtype);
  });
  return { tensors, corrected: [...pairs.keys()], replaced };
}

const isLora = (key: string): boolean => /\.lora_[AB]$/.test(key);

/** Training adds whole parts; any other weight that replaces none is of another model. */
function expectKnown(base: Tensors, replaced: readonly string[]): void {
  const unknown = replaced.filter((key) => !base.has(key) && !/^model\.(mm_projector|text_hidden_fcs|segment_encoder)\./.test(key));
  if (unknown.length === 0) return;
  throw differenceError('the adapter has weights that the base does not', { missing: [], unexpected: unknown, misshapen: [] });
}

function expectPair(
  layer: string,
  weight: StoredTensor | undefined,
  a: StoredTensor,
  b: StoredTensor | undefined,
): [StoredTensor, StoredTensor] {
  if (b === undefined) throw new CheckpointError(`${layer}.lora_A has no lora_B beside it`);
  if (weight === undefined)
    throw new CheckpointError(`${layer}.lora_A corrects ${layer}.weight, which is not there; is the base the right one?`);
  const [outSize, inSize] = weight.shape;
  const wanted = `[${outSize}, r] and [r, ${inSize}]`;
  const fits =
    weight.shape.length === 2 &&
    a.shape.length === 2 &&
    b.shape.length === 2 &&
    b.shape[0] === outSize &&
    a.shape[1] === inSize &&
    a.shape[0] === b.shape[1];
  if (!fits)
    throw new CheckpointError(
      `${layer} has lora_B [${b.shape.join(', ')}] and lora_A [${a.shape.join(', ')}], expected ${wanted} as its weight is [${weight.shape.join(', ')}]`,
    );
  return [a, b];
}

function corrected(key: string, weight: StoredTensor, [a, b]: [StoredTensor, StoredTensor], scaling: number, dtype?: Dtype): TensorToWrite {
  const target = dtype ?? readDtype(weight.dtype);
  if (target === undefined) throw new CheckpointError(`${key} is ${weight.dtype}, which cannot be corrected`);
  return computedToWrite(key, weight.shape, target, async () => {
    const [w, loraA, loraB] = [await readTensor(weight, 'f32'), await readTensor(a, 'f32'), await readTensor(b, 'f32')];
    return cast(mergeLora(w, loraA, loraB, scaling), target);
  });
}
