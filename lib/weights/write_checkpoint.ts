/**
 * Writes tensors as safetensors, in shards with an index where they are many, hashing what is written. Tensor by tensor and
 * each in pieces: memory does not grow with the model.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortedError } from '../errors';
import { safetensorsDtype } from './safetensors';
import type { StoredDtype } from './stored';

/** A tensor that can give its bytes, from the first to the last. */
export interface TensorToWrite {
  readonly key: string;
  readonly shape: readonly number[];
  readonly dtype: StoredDtype;
  readonly bytes: number;
  pieces(): AsyncIterable<Uint8Array>;
}

export interface WrittenFile {
  readonly name: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface WriteOptions {
  /** Of one file, at most, unless a single tensor is larger. */
  readonly shardBytes?: number;
  /** Of the files, before .safetensors; default model. */
  readonly name?: string;
  readonly onProgress?: (progress: { key: string; bytes: number; totalBytes: number }) => void;
  readonly signal?: AbortSignal;
}

/** The size of Hugging Face's shards, below the 4 GiB that some file systems and old zip tools stop at. */
export const defaultShardBytes = 4e9;
/** Values begin at a multiple of this, and so do all tensors of usual sizes: a mapped tensor is aligned for any vector. */
const ALIGN = 64;

/**
 * Writes `tensors` into an existing folder.
 * @throws AbortedError when `signal` fires; the folder is left as it is then.
 */
export async function writeCheckpoint(
  folder: string,
  tensors: readonly TensorToWrite[],
  options: WriteOptions = {},
): Promise<WrittenFile[]> {
  const shards = intoShards(tensors, options.shardBytes ?? defaultShardBytes);
  const totalBytes = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const { name: stem = 'model' } = options;
  const written: WrittenFile[] = [];
  const map = new Map<string, string>();
  let bytes = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (value: number) => String(value).padStart(5, '0');
    const name = shards.length === 1 ? `${stem}.safetensors` : `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { key } of shard) map.set(key, name);
    const onPiece = (key: string, count: number) => {
      if (options.signal?.aborted) throw new AbortedError(`writing was aborted in ${key}`, { cause: options.signal.reason });
      bytes += count;
      options.onProgress?.({ key, bytes, totalBytes });
    };
    written.push(await writeShard(folder, name, shard, onPiece));
  }
  if (shards.length > 1) {
    const index = `${JSON.stringify({ metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(map) }, undefined, 2)}\n`;
    written.push(await writeHashed(folder, `${stem}.safetensors.index.json`, index));
  }
  return written;
}

/** Writes a small file. */
export async function writeHashed(folder: string, name: string, content: string | Uint8Array): Promise<WrittenFile> {
  await writeFile(join(folder, name), content);
  return { name, bytes: Buffer.byteLength(content), sha256: createHash('sha256').update(content).digest('hex') };
}

function intoShards(tensors: readonly TensorToWrite[], most: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let room = most;
  for (const tensor of tensors) {
    if (tensor.bytes > room && (shards.at(-1) as TensorToWrite[]).length > 0) {
      shards.push([]);
      room = most;
    }
    (shards.at(-1) as TensorToWrite[]).push(tensor);
    room -= tensor.bytes;
  }
  return shards;
}

async function writeShard(
  folder: string,
  name: string,
  tensors: readonly TensorToWrite[],
  onPiece: (key: string, bytes: number) => void,
): Promise<WrittenFile> {
  // Wide elements first keeps each tensor at a multiple of its element's size.
  const ordered = [...tensors].sort((a, b) => itemOf(b) - itemOf(a));
  const file = await open(join(folder, name), 'w');
  const hash = createHash('sha256');
  try {
    let size = await append(file, hash, headerOf(ordered));
    for (const tensor of ordered) {
      let left = tensor.bytes;
      for await (const piece of tensor.pieces()) {
        left -= await append(file, hash, piece);
        onPiece(tensor.key, piece.length);
      }
      if (left !== 0) throw new Error(`${tensor.key} gave ${tensor.bytes - left} bytes, expected ${tensor.bytes}`);
      size += tensor.bytes;
    }
    await file.datasync();
    return { name, bytes: size, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

const itemOf = ({ bytes, shape }: TensorToWrite): number =>
  bytes /
  Math.max(
    1,
    shape.reduce((product, size) => product * size, 1),
  );

function headerOf(tensors: readonly TensorToWrite[]): Buffer {
  let at = 0;
  const entries = tensors.map(({ key, dtype, shape, bytes }) => {
    at += bytes;
    return [key, { dtype: safetensorsDtype(dtype), shape, data_offsets: [at - bytes, at] }];
  });
  const text = JSON.stringify(Object.fromEntries([['__metadata__', { format: 'pt' }], ...entries]));
  const length = Math.ceil((8 + Buffer.byteLength(text)) / ALIGN) * ALIGN - 8;
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  header.write(text, 8);
  return header;
}

async function append(file: FileHandle, hash: Hash, bytes: Uint8Array): Promise<number> {
  hash.update(bytes);
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
  return bytes.length;
}
