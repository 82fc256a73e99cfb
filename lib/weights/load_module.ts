/** Weights into a module, tensor by tensor, so that a cast or packed model never needs more than itself and one tensor. */
import { setImmediate } from 'node:timers/promises';
import { AbortedError, CheckpointError, CheckpointNotFiniteError } from '../errors';
import type { Dtype } from '../native';
import { compareShapes, differenceError } from '../nn/difference';
import { Module, type PackGroup } from '../nn/module';
import { synchronize } from '../tensor/create';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { countNotFinite } from './finite';
import { readTensor } from './read_tensor';
import { keyedTensors, type Source } from './sources';
import { isFloating, type StoredTensor } from './stored';

export interface LoadProgress {
  /** Of the tensor that was loaded last. */
  readonly key: string;
  /** In the files. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface LoadModuleOptions {
  /** Of the loaded tensors, one for all or by key; default that of the parameter which the tensor takes the place of. */
  readonly dtype?: Dtype | ((key: string) => Dtype | undefined);
  /** Packs the weights of products as they come; see `Module.pack`. Default false. */
  readonly pack?: boolean;
  /** Which weights of linear layers are held in 8 or 4 bits, by key; see `Module.quantize`. Default none. */
  readonly quantize?: (key: string) => 'int8' | 'int4' | undefined;
  /** Looks at every value for NaN and infinity. Default true. */
  readonly checkFinite?: boolean;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

export interface LoadReport {
  readonly loaded: readonly string[];
  /** Names that the sources' layouts have no use for. */
  readonly ignored: readonly string[];
  /** Keys that the module does not have. */
  readonly unexpected: readonly string[];
}

/**
 * Puts the sources' tensors in the place of the module's parameters, which then owns them, on the device of each. On the CPU they
 * stay mapped files where no cast and no packing is needed.
 * @returns what was loaded and what was not; keys that the module does not have are told, not refused, except LoRA matrices.
 * @throws CheckpointError before anything is changed: keys missing, other shapes, integers for weights, LoRA not merged.
 * @throws CheckpointNotFiniteError, AbortedError: dispose of the module then, it is loaded in part.
 */
export async function loadModule(
  module: Module,
  sources: Source | readonly Source[],
  options: LoadModuleOptions = {},
): Promise<LoadReport> {
  const { tensors, ignored } = keyedTensors('checkpoint' in sources ? [sources] : sources);
  const parameters = module.stateDict();
  const unexpected = expectFit(parameters, tensors);
  await loadGroups([...module.packGroups()], tensors, options);
  return { loaded: [...parameters.keys()], ignored, unexpected };
}

/**
 * Puts tensors in the place of the parameters of `groups`, as {@link loadModule} does.
 * @param tensors - by key: one for each parameter, of its shape.
 */
export async function loadGroups(
  groups: readonly PackGroup[],
  tensors: ReadonlyMap<string, StoredTensor>,
  options: LoadModuleOptions = {},
): Promise<void> {
  const all = groups.flatMap(({ prefix, keys }) => keys.map((own) => tensors.get(prefix + own) as StoredTensor));
  const totalBytes = all.reduce((sum, stored) => sum + stored.bytes, 0);
  let bytes = 0;
  const loadGroup = async ({ owner, prefix, keys }: PackGroup): Promise<void> => {
    const [state, parameters] = [new Map<string, Tensor>(), owner.stateDict()];
    for (const own of keys) {
      const key = prefix + own;
      if (options.signal?.aborted) throw new AbortedError(`loading was aborted before ${key}`, { cause: options.signal.reason });
      const stored = tensors.get(key) as StoredTensor;
      const dtype = typeof options.dtype === 'function' ? options.dtype(key) : options.dtype;
      const before = parameters.get(own) as Tensor;
      const tensor = await readTensor(stored, dtype ?? before.dtype, before.device);
      if (options.checkFinite ?? true) await expectFinite(tensor, stored);
      state.set(own, tensor);
      bytes += stored.bytes;
      options.onProgress?.({ key, bytes, totalBytes });
    }
    owner.loadSome(state);
    for (const kind of ['int8', 'int4'] as const) {
      const chosen = keys.filter((own) => options.quantize?.(prefix + own) === kind);
      if (chosen.length > 0) owner.quantize(kind, (own) => chosen.includes(own));
    }
    if (options.pack && owner.pack !== Module.prototype.pack) owner.pack();
  };
  for (const group of groups) {
    await tidy(() => loadGroup(group));
    await setImmediate();
  }
  await synchronize();
}

/** The keys that are given and not wanted. */
function expectFit(parameters: ReadonlyMap<string, Tensor>, given: ReadonlyMap<string, StoredTensor>): readonly string[] {
  const difference = compareShapes(
    new Map(Array.from(parameters, ([key, { shape }]) => [key, shape])),
    new Map(Array.from(given, ([key, { shape }]) => [key, shape])),
  );
  const integers = [...given].filter(([key, { dtype }]) => parameters.has(key) && !isFloating(dtype));
  const misshapen = [...difference.misshapen, ...integers.map(([key, { dtype }]) => `${key} is ${dtype}, expected numbers with fractions`)];
  const paths = [...new Set(Array.from(given.values(), ({ file }) => file))].join(' and ');
  if (difference.missing.length + misshapen.length > 0) {
    throw differenceError(`the tensors of ${paths} do not fit the model`, { ...difference, misshapen });
  }
  const lora = difference.unexpected.find((key) => /\.lora_(A|B)$/.test(key));
  if (lora) {
    throw new CheckpointError(`${paths} has LoRA matrices that are not merged, such as ${lora}: run mglmm merge first`, {
      unexpected: difference.unexpected,
    });
  }
  return difference.unexpected;
}

async function expectFinite(tensor: Tensor, { name, file }: StoredTensor): Promise<void> {
  const count = await countNotFinite(tensor);
  if (count > 0) throw new CheckpointNotFiniteError(`${file}: ${name} has ${count} of ${tensor.count} values that are NaN or infinite`);
}
