/** Whether a folder is what it was when it was written, and its weights are numbers. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortedError } from '../errors';
import { tidy } from '../tensor/scope';
import { countNotFinite } from './finite';
import { folderOf, type Manifest } from './manifest';
import { readDtype, readTensor } from './read_tensor';
import type { KeyedTensors } from './sources';
import { countOf, isFloating } from './stored';

export interface VerifyOptions {
  readonly onProgress?: (progress: { name: string; bytes: number; totalBytes: number }) => void;
  readonly signal?: AbortSignal;
}

/** Hashed in one go, which is JavaScript's thread. */
const PIECE_BYTES = 512 * 1024;

/**
 * Compares files with the sizes and hashes of a manifest.
 * @param of - the folder, or the file, whose manifest it is.
 * @returns a sentence for each that is not as it was.
 */
export async function verifyFiles(of: string, { files }: Manifest, options: VerifyOptions = {}): Promise<string[]> {
  const folder = await folderOf(of);
  const totalBytes = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  const problems: string[] = [];
  let done = 0;
  for (const [name, { bytes, sha256 }] of Object.entries(files)) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined) problems.push(`${name} is missing`);
    else if (status.size !== bytes) problems.push(`${name} has ${status.size} bytes, expected ${bytes}`);
    else {
      const hash = createHash('sha256');
      for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
        expectNotAborted(options, name);
        hash.update(piece as Buffer);
        done += (piece as Buffer).length;
        options.onProgress?.({ name, bytes: done, totalBytes });
      }
      const got = hash.digest('hex');
      if (got !== sha256) problems.push(`${name} has the sha256 ${got}, expected ${sha256}: it was changed or damaged`);
    }
  }
  return problems;
}

/**
 * Looks at every value for NaN and infinity.
 * @returns a sentence for each tensor that has some.
 */
export async function verifyValues(tensors: KeyedTensors['tensors'], options: VerifyOptions = {}): Promise<string[]> {
  const totalBytes = Array.from(tensors.values(), ({ bytes }) => bytes).reduce((sum, bytes) => sum + bytes, 0);
  const problems: string[] = [];
  let done = 0;
  for (const [key, stored] of tensors) {
    expectNotAborted(options, key);
    if (isFloating(stored.dtype) && readDtype(stored.dtype)) {
      const count = await tidy(async () => countNotFinite(await readTensor(stored)));
      if (count > 0) problems.push(`${key} has ${count} of ${countOf(stored.shape)} values that are NaN or infinite`);
    }
    done += stored.bytes;
    options.onProgress?.({ name: key, bytes: done, totalBytes });
  }
  return problems;
}

function expectNotAborted({ signal }: VerifyOptions, where: string): void {
  if (signal?.aborted) throw new AbortedError(`verifying was aborted in ${where}`, { cause: signal.reason });
}
