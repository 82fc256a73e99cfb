/**
 * A file or folder of weights: names, shapes and dtypes at once, values mapped into memory when they are asked for.
 * Reads safetensors, whole or in shards.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ArgumentError, CheckpointFormatError, CheckpointIndexError, CheckpointNotFoundError, DtypeError } from '../errors';
import type { Dtype } from '../native';
import { cast } from '../ops/cast';
import { mapFile } from '../tensor/create';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { readSafetensors } from './safetensors';
import type { StoredTensor } from './stored';

export class Checkpoint {
  /** What was opened. */
  readonly path: string;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;

  constructor(path: string, tensors: Iterable<StoredTensor>) {
    this.path = path;
    this.#tensors = new Map(Array.from(tensors, (one) => [one.name, one]));
  }

  get names(): readonly string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** @throws ArgumentError when there is no tensor of this name. */
  get(name: string): StoredTensor {
    const stored = this.#tensors.get(name);
    if (stored === undefined) throw new ArgumentError(`checkpoint: ${this.path} has no tensor ${name}`);
    return stored;
  }

  /**
   * The values of a tensor: mapped, not read, where the file has them in rows and in the dtype that is asked for.
   * @param dtype - default as stored.
   */
  async load(name: string, dtype?: Dtype): Promise<Tensor> {
    const { file, offset, shape, dtype: stored } = this.get(name);
    if (stored !== 'f32' && stored !== 'bf16' && stored !== 'f16' && stored !== 'i32' && stored !== 'u8') {
      throw new DtypeError(`checkpoint: ${name} is ${stored}, expected f32, bf16, f16, i32 or u8`);
    }
    return tidy(() => {
      const mapped = mapFile(file, offset, shape, stored);
      return dtype === undefined || dtype === stored ? mapped : cast(mapped, dtype);
    });
  }
}

/**
 * Opens a file (.safetensors) or a folder with one, or with shards and their index.
 * @throws CheckpointNotFoundError, CheckpointFormatError, CheckpointIndexError, each naming the file.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const status = await stat(path).catch((error: unknown) => {
    throw new CheckpointNotFoundError(`there is nothing at ${path}`, { cause: error });
  });
  if (!status.isDirectory()) return new Checkpoint(path, await readFileOfWeights(path));
  const files = await readdir(path);
  const index = 'model.safetensors.index.json';
  if (files.includes(index)) return new Checkpoint(path, await readShards(path, index));
  const whole = files.filter((file) => file.endsWith('.safetensors'));
  if (whole.length !== 1) {
    const found = whole.length === 0 ? 'no file of weights' : `${whole.length} files and no index: ${whole.join(', ')}`;
    throw new CheckpointNotFoundError(`${path} has ${found}, expected ${index} or one .safetensors`);
  }
  return new Checkpoint(path, await readFileOfWeights(join(path, whole[0] as string)));
}

async function readFileOfWeights(path: string): Promise<readonly StoredTensor[]> {
  return (await readSafetensors(path)).tensors;
}

async function readShards(folder: string, index: string): Promise<StoredTensor[]> {
  const path = join(folder, index);
  let map: unknown;
  try {
    map = (JSON.parse(await readFile(path, 'utf8')) as { weight_map?: unknown } | null)?.weight_map;
  } catch (error) {
    throw new CheckpointFormatError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof map !== 'object' || map === null) throw new CheckpointFormatError(`${path} has no weight_map`);
  const entries = Object.entries(map);
  for (const [name, file] of entries) {
    if (typeof file !== 'string' || file !== basename(file) || file === '..' || file === '') {
      throw new CheckpointIndexError(`${path} puts ${name} into ${JSON.stringify(file)}, expected the name of a file in the same folder`);
    }
  }
  const tensors = new Map<string, StoredTensor>();
  for (const file of new Set(Object.values(map) as string[])) {
    const first = entries.find(([, other]) => other === file)?.[0];
    const shard = join(folder, file);
    await stat(shard).catch((error: unknown) => {
      throw new CheckpointNotFoundError(`${shard} is missing; ${index} says it has ${first} and others`, { cause: error });
    });
    for (const stored of await readFileOfWeights(shard)) {
      const wanted = (map as Record<string, unknown>)[stored.name] ?? file;
      if (wanted === file) tensors.set(stored.name, stored);
    }
  }
  for (const [name, file] of entries) {
    if (!tensors.has(name)) throw new CheckpointIndexError(`${path} says that ${name} is in ${file}, which does not have it`);
  }
  return [...tensors.values()];
}
