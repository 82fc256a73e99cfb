/** Finds the weights of a file or folder: safetensors or PyTorch's own files, whole or in shards. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckpointIndexError, CheckpointNotFoundError } from '../errors';
import { Checkpoint } from './checkpoint';
import { readJsonObject } from './json_file';
import { refuse } from './refuse';
import { readSafetensors } from './safetensors';
import type { StoredTensor } from './stored';
import { readTorchFile } from './torch_pickle/torch_file';

/** In the order in which they are preferred. */
const indexes = ['model.safetensors.index.json', 'pytorch_model.bin.index.json'];
const wholes = ['model.safetensors', 'pytorch_model.bin'];
const kinds = ['.safetensors', '.bin', '.pth', '.pt'];
/**
 * Opens a file of weights (.safetensors, or .bin, .pth, .pt of `torch.save`), or a folder with one, or with shards and
 * their index. Reads names and shapes; values come with {@link Checkpoint.load}.
 * @throws CheckpointNotFoundError, CheckpointFormatError, CheckpointIndexError, CheckpointUnsafeError, naming the file.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const status = await stat(path).catch((error: unknown) => {
    throw new CheckpointNotFoundError(`there is nothing at ${path}, expected a file or folder of weights`, { cause: error });
  });
  if (!status.isDirectory()) return new Checkpoint(path, await readWeights(path));
  const files = await readdir(path);
  const index = indexes.find((name) => files.includes(name));
  const whole = wholes.find((name) => files.includes(name));
  // Shards of the one kind must not win over a whole file of the preferred kind.
  if (index && !(whole === 'model.safetensors' && index !== indexes[0])) return new Checkpoint(path, await readShards(path, index));
  return new Checkpoint(path, await readWeights(join(path, whole ?? onlyWeights(path, files))));
}

function onlyWeights(folder: string, files: readonly string[]): string {
  for (const kind of kinds) {
    const found = files.filter((file) => file.endsWith(kind)).sort();
    if (found.length === 1) return found[0] as string;
    if (found.length > 1) {
      throw new CheckpointNotFoundError(
        `${folder} has no index and ${found.length} files that could be the weights: ${found.join(', ')}; name one of them`,
      );
    }
  }
  throw new CheckpointNotFoundError(
    `${folder} has no weights, expected one of ${[...indexes, ...wholes].join(', ')}, or one file ${kinds.join(', ')}`,
  );
}

const readWeights = async (path: string): Promise<readonly StoredTensor[]> =>
  path.endsWith('.safetensors') ? (await readSafetensors(path)).tensors : readTorchFile(path);

async function readShards(folder: string, index: string): Promise<StoredTensor[]> {
  const path = join(folder, index);
  const map = await readIndex(path);
  const tensors = new Map<string, StoredTensor>();
  for (const file of new Set(map.values())) {
    const shard = join(folder, file);
    await stat(shard).catch((error: unknown) => {
      const first = [...map].find(([, one]) => one === file)?.[0];
      throw new CheckpointNotFoundError(`${shard} is missing; ${index} says that it holds ${first} and more`, { cause: error });
    });
    for (const stored of await readWeights(shard)) {
      if ((map.get(stored.name) ?? file) !== file) continue;
      if (tensors.has(stored.name)) throw new CheckpointIndexError(`${path} does not say which of two shards ${stored.name} is in`);
      tensors.set(stored.name, stored);
    }
  }
  for (const [name, file] of map) {
    if (!tensors.has(name)) throw new CheckpointIndexError(`${path} says that ${name} is in ${file}, which does not hold it`);
  }
  return [...tensors.values()];
}

/** Which shard holds which tensor. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const map = (await readJsonObject(path))?.weight_map;
  if (typeof map !== 'object' || map === null) refuse(path, 'has no weight_map, expected tensor -> file');
  const entries = Object.entries(map as Record<string, unknown>);
  if (entries.length === 0) refuse(path, 'has an empty weight_map');
  for (const [name, file] of entries) {
    if (typeof file !== 'string' || file !== basename(file) || ['', '.', '..'].includes(file)) {
      throw new CheckpointIndexError(`${path} puts ${name} into ${JSON.stringify(file)}, expected the name of a file beside it`);
    }
  }
  return new Map(entries as [string, string][]);
}
