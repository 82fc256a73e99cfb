/** What an evaluation keeps: a line a sample, from which every score can be computed again without the model. */
import { type FileHandle, mkdir, open, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DataError } from '../errors';
import type { FinishReason } from '../generate/options';
import type { Rle } from '../image/rle';
import type { RepairKind, Span } from '../text/segcap';

/** A phrase of an answer with its mask. */
export interface AnsweredSegment {
  /** Empty where the model named nothing. */
  readonly phrase: string;
  /** Of the phrase in the plain text. */
  readonly span: Span;
  /** The IoU that the model expects. */
  readonly score: number;
  readonly segmentation: Rle;
}

/** A question, what should be answered, and what was. */
export interface AnsweredTurn {
  readonly question: string;
  /** The true answer, in the SegCap format, and the masks of its phrases. */
  readonly truth: string;
  readonly truthMasks: readonly Rle[];
  /** The model's, plain. */
  readonly answer: string;
  readonly segments: readonly AnsweredSegment[];
  readonly ids: readonly number[];
  readonly finish?: FinishReason;
  readonly repairs: readonly RepairKind[];
  /** Why the model could not answer: an answer without a word is scored. */
  readonly error?: string;
}

export interface SampleRecord {
  /** Which of the data sets, and of its samples, each from 0. */
  readonly part: number;
  readonly index: number;
  readonly id: string;
  readonly task: string;
  /** Of the masks: `[height, width]`. */
  readonly size: readonly [height: number, width: number];
  readonly turns: readonly (AnsweredTurn & { readonly value?: number })[];
  /** What is wrong with the sample, which was not asked then and is in no score. */
  readonly fault?: string;
}

/** What must be the same for a run to go on: the model, the data, how answers are made. */
export type EvaluationSettings = Readonly<Record<string, unknown>>;

function note(done: Map<number, Set<number>>, { part, index }: Pick<SampleRecord, 'part' | 'index'>): void {
  const indices = done.get(part) ?? new Set();
  done.set(part, indices.add(index));
}

/** A file of records that grows: its first line has the settings. */
export class RecordFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  /** Of each data set. */
  readonly #done: Map<number, Set<number>>;

  private constructor(path: string, file: FileHandle, done: Map<number, Set<number>>) {
    this.path = path;
    this.#file = file;
    this.#done = done;
  }

  /**
   * A new file, or one that was written before with the same settings, without a last line that was cut off.
   * @param overwrite - begin again, where there is one.
   * @throws DataError when what is there has other settings, or is no such file; it is left as it is then.
   */
  static async open(path: string, settings: EvaluationSettings, overwrite = false): Promise<RecordFile> {
    const cannotBeWritten = (cause: Error): never => {
      throw new DataError(`${path}: cannot be written: ${cause.message}`, { cause });
    };
    await mkdir(dirname(path), { recursive: true }).catch(cannotBeWritten);
    const whole = await wholeBytes(path);
    const before = whole > 0 ? await settingsOf(path) : undefined;
    const done = new Map<number, Set<number>>();
    const goesOn = before !== undefined && !overwrite;
    if (goesOn) {
      expectSame(path, before, JSON.parse(JSON.stringify(settings)) as EvaluationSettings);
      await truncate(path, whole).catch(cannotBeWritten);
      for await (const record of readRecords(path)) note(done, record);
    }
    const file = await open(path, goesOn ? 'a' : 'w').catch(cannotBeWritten);
    if (!goesOn) await file.appendFile(`${JSON.stringify({ settings })}\n`);
    return new RecordFile(path, file, done);
  }

  has(part: number, index: number): boolean {
    return this.#done.get(part)?.has(index) === true;
  }

  /** Records of samples below `limit`. */
  count(limit: number): number {
    let count = 0;
    for (const indices of this.#done.values()) for (const index of indices) if (index < limit) count++;
    return count;
  }

  async append(records: readonly SampleRecord[]): Promise<void> {
    await this.#file.appendFile(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    for (const record of records) note(this.#done, record);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

/** All records of a file, in the order they were made. @throws DataError for a line that is no record, and where there is no file. */
export async function* readRecords(path: string): AsyncGenerator<SampleRecord, void, undefined> {
  let number = 0;
  for await (const line of linesOf(path)) {
    if (++number === 1) continue;
    const record = parsed(path, number, line) as Partial<SampleRecord> | null;
    if (!Number.isInteger(record?.part) || !Number.isInteger(record?.index) || !Array.isArray(record?.turns))
      throw new DataError(`${path}:${number}: is no record of an evaluation`);
    yield record as SampleRecord;
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  await using file = await open(path).catch((error: Error) => {
    throw new DataError(`${path}: cannot be read: ${error.message}`, { cause: error });
  });
  yield* file.readLines();
}

async function settingsOf(path: string): Promise<EvaluationSettings> {
  for await (const line of linesOf(path)) {
    try {
      return (JSON.parse(line) as { settings: EvaluationSettings }).settings;
    } catch {
      break;
    }
  }
  return refuseAnother(path);
}

function refuseAnother(path: string): never {
  throw new DataError(`${path}:1: has no settings of an evaluation: is it another file? Write elsewhere, or remove it`);
}

function parsed(path: string, number: number, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new DataError(`${path}:${number}: is no JSON`, { cause });
  }
}

/** Whatever order their keys are in. */
function expectSame(path: string, before: EvaluationSettings, now: EvaluationSettings): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (isDeepStrictEqual(before[key], now[key])) continue;
    const [was, is] = [JSON.stringify(before[key]), JSON.stringify(now[key])];
    throw new DataError(
      `${path}: was begun with other settings: ${key} was ${was ?? 'not set'}, is ${is ?? 'not set'}; write elsewhere, or over it`,
    );
  }
}

/** What a file of records begins with. */
const beginning = '{"settings":{';
const newline = 10;
const tailBytes = 1 << 16;

/** Bytes up to the end of the last whole line; 0 where there is no file, or its first line was cut. @throws DataError for another's file. */
async function wholeBytes(path: string): Promise<number> {
  const cannotBeRead = (cause: Error): never => {
    throw new DataError(`${path}: cannot be read: ${cause.message}`, { cause });
  };
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : cannotBeRead(error)));
  if (found === undefined) return 0;
  if (!found.isFile()) throw new DataError(`${path}: is no regular file`); // opening a pipe would wait
  await using file = await open(path, 'r').catch(cannotBeRead);
  const first = await file.read(Buffer.alloc(beginning.length), 0, beginning.length, 0);
  if (!beginning.startsWith(first.buffer.toString('latin1', 0, first.bytesRead))) refuseAnother(path);
  let end = found.size;
  while (end > 0) {
    const begin = Math.max(0, end - tailBytes);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(end - begin), 0, end - begin, begin);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(newline);
    if (at >= 0) return begin + at + 1;
    end = begin;
  }
  return 0;
}
