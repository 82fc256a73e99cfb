import { CheckpointError } from '../errors';
import type { Checkpoint } from './checkpoint';
import type { StoredTensor } from './stored';

/** A checkpoint, and which key each of its names stands for. */
export interface Source {
  readonly checkpoint: Checkpoint;
  /** Null for a tensor that is not to be loaded. Default: names are keys. See `layoutOf`. */
  readonly keyOf?: (name: string) => string | null;
}

export interface KeyedTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Names without a key. */
  readonly ignored: readonly string[];
}

/**
 * The tensors of several sources by key.
 * @throws CheckpointError when two of them have the same key.
 */
export function keyedTensors(sources: readonly Source[]): KeyedTensors {
  const tensors = new Map<string, StoredTensor>();
  const ignored: string[] = [];
  for (const { checkpoint, keyOf = (name: string) => name } of sources) {
    for (const name of checkpoint.names) {
      const key = keyOf(name);
      const before = key === null ? undefined : tensors.get(key);
      if (before) throw new CheckpointError(`${key} is in ${before.file} as ${before.name} and again in ${checkpoint.path} as ${name}`);
      if (key === null) ignored.push(name);
      else tensors.set(key, checkpoint.get(name));
    }
  }
  return { tensors, ignored };
}
