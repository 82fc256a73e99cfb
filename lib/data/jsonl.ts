/** Files of samples, one a line as JSON, of any size: opening reads where lines begin, a sample is read when it is asked for. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { shown } from '../checks';
import { AbortedError, ArgumentError, DataError, DisposedError, SampleError, type SampleFault } from '../errors';
import { type IndexOptions, Lines } from './lines';
import { readRecord, writeRecord } from './record';
import { type Dataset, expectIndex, type Sample } from './sample';

export interface JsonlOptions extends IndexOptions {
  /** Where paths of pictures start; default the folder of the file. */
  readonly images?: string;
}

const maxLineBytes = 64 * 1024 * 1024;
const linesAWrite = 64;

/** Samples of a file; line `n` of it is sample `n - 1`. */
export class JsonlDataset implements Dataset, AsyncDisposable {
  /** Path of the file. */
  readonly name: string;
  readonly #file: FileHandle;
  readonly #lines: Lines;
  readonly #images: string;
  readonly #text = new TextDecoder('utf-8', { fatal: true });

  private constructor(path: string, file: FileHandle, lines: Lines, images: string) {
    this.name = path;
    this.#file = file;
    this.#lines = lines;
    this.#images = images;
  }

  /** @throws DataError when there is no such file; AbortedError when `signal` fires. */
  static async open(path: string, { images, ...options }: JsonlOptions = {}): Promise<JsonlDataset> {
    expectPath('JsonlDataset.open', path);
    const file = await openFile(path);
    try {
      return new JsonlDataset(path, file, await Lines.of(file, options), resolve(images ?? dirname(path)));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get length(): number {
    return this.#lines.length;
  }

  /** @throws SampleError when the line is no good sample; DataError when the file was changed meanwhile; DisposedError once it was closed. */
  async get(index: number): Promise<Sample> {
    if (this.#file.fd < 0) throw new DisposedError(`${this.name} was closed`);
    expectIndex(this, index);
    const refuse = (faults: readonly [SampleFault, ...SampleFault[]], cause?: unknown): never => {
      throw new SampleError(this.name, index + 1, faults, { cause });
    };
    const notJson = (reason: string, cause?: unknown) => refuse([{ problem: 'json', field: '', reason }], cause);
    const [begin, end] = this.#lines.range(index);
    if (end - begin > maxLineBytes) notJson(`the line has ${end - begin} bytes, expected at most ${maxLineBytes}`);
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(end - begin), 0, end - begin, begin);
    if (bytesRead < end - begin) throw new DataError(`${this.name}: it has become shorter since it was opened`);
    let value: unknown;
    try {
      const text = this.#text.decode(buffer);
      if (text.trim() === '') notJson('the line is empty');
      value = JSON.parse(text);
    } catch (error) {
      if (error instanceof SampleError) throw error;
      notJson(error instanceof SyntaxError ? `the line is no JSON: ${error.message}` : 'the line is no UTF-8', error);
    }
    const read = await readRecord(value, this.#images);
    return 'sample' in read ? read.sample : refuse(read.faults);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function expectPath(call: string, path: unknown): void {
  if (typeof path !== 'string') throw new ArgumentError(`${call}: path is ${shown(path)}, expected a string`);
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r');
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new DataError(`${path}: ${code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`}`, { cause });
  }
  throw new DataError(`${path}: is no regular file`);
}

/**
 * Writes a file of samples, whole or not at all. Paths of pictures are written as seen from its folder.
 * @returns how many.
 * @throws SampleError for a sample that could not be read again; DataError for a file that cannot be written; AbortedError when `signal`
 *   fires.
 */
export async function writeJsonl(
  path: string,
  samples: Iterable<Sample> | AsyncIterable<Sample>,
  { signal }: { signal?: AbortSignal } = {},
): Promise<number> {
  expectPath('writeJsonl', path);
  const unfinished = `${path}.${process.pid}.unfinished`;
  const cannotBeWritten = (cause: Error): never => {
    throw new DataError(`${path}: cannot be written: ${cause.message}`, { cause });
  };
  let count = 0;
  try {
    await using file = await open(unfinished, 'w').catch(cannotBeWritten);
    let lines: string[] = [];
    const flush = async () => {
      await file.appendFile(lines.join('')).catch(cannotBeWritten);
      lines = [];
    };
    for await (const sample of samples) {
      if (signal?.aborted) throw new AbortedError(`${path}: aborted`, { cause: signal.reason });
      const read = await readRecord(sample, '.');
      if ('faults' in read) throw new SampleError(path, count + 1, read.faults);
      count++;
      if (lines.push(`${writeRecord(read.sample, path)}\n`) === linesAWrite) await flush();
    }
    await flush();
    await file.sync().catch(cannotBeWritten);
    await rename(unfinished, path).catch(cannotBeWritten);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  return count;
}
