/** Runs a model over samples by generation. What is answered is in a file at once, so that a run that was stopped goes on from there. */
import { stat } from 'node:fs/promises';
import { expectOptions, integerFrom } from '../checks';
import { DecodePool } from '../data/decode_pool';
import { type Dataset, readSample } from '../data/sample';
import { AbortedError, ArgumentError, SampleError } from '../errors';
import type { AnswerOptions } from '../inference/request';
import { type Answering, type AskedSample, ask } from './ask';
import { type EvaluationSettings, RecordFile, type SampleRecord } from './record';
import { turnValue } from './scorers';

export interface EvaluationProgress {
  /** Samples, those of earlier runs among them. */
  readonly done: number;
  readonly total: number;
}

export interface EvaluationOptions extends AnswerOptions {
  /** What else decides the answers, beside the options here: a run goes on only where all of it is as before. */
  readonly settings?: EvaluationSettings;
  /** Begin again, where a file is there. Default false. */
  readonly overwrite?: boolean;
  /** Of each data set, from its first sample; default all. */
  readonly limit?: number;
  /** Samples that are answered together; default 4, up to which answers are the same to the bit. */
  readonly batch?: number;
  readonly onProgress?: (progress: EvaluationProgress) => void;
}

/** A model, or what opens it, which is called when there is something to ask. */
export type ModelToAsk = Answering | (() => Promise<Answering>);

/**
 * Asks `model` every sample of `parts` that `file` does not have yet. A sample that is not as it must be is a record with a `fault`.
 * @throws DataError when `file` was begun with other settings, is of something else or cannot be written; ArgumentError for options that
 *   ask nothing and for a `file` of `parts`; AbortedError when `signal` fires, with all that was answered kept.
 */
export async function runEvaluation(
  model: ModelToAsk,
  parts: readonly Dataset[],
  file: string,
  options: EvaluationOptions = {},
): Promise<void> {
  const { settings, overwrite, limit = Number.POSITIVE_INFINITY, batch = 4, onProgress, ...answers } = options;
  const { signal, ...asked } = answers;
  if (parts.length === 0) throw new ArgumentError('runEvaluation: parts is empty, expected a data set at least');
  expectOptions('runEvaluation', { batch, limit: options.limit }, { batch: integerFrom(1), limit: integerFrom(1) });
  await expectApart(parts, file);
  const data = parts.map(({ name, length }) => ({ name, length }));
  await using records = await RecordFile.open(file, { ...settings, data, answers: asked }, overwrite);
  const total = parts.reduce((sum, { length }) => sum + Math.min(limit, length), 0);
  let done = records.count(limit);
  onProgress?.({ done, total });
  if (done === total) return;
  const answering = typeof model === 'function' ? await model() : model;
  const left = placesLeft(parts, limit, records);
  const pool = new DecodePool(1);
  const readNext = () => Promise.all(take(left, batch).map((place) => readPlace(parts, place, pool, signal)));
  try {
    let next = readNext();
    for (let found = await next; found.length > 0; found = await next) {
      next = readNext(); // while the model answers
      next.catch(() => {}); // told when its turn comes
      if (signal?.aborted) throw new AbortedError('evaluation: aborted', { cause: signal.reason });
      await records.append(await answered(answering, found, answers));
      done += found.length;
      onProgress?.({ done, total });
    }
  } finally {
    await pool.close();
  }
}

/** A file has several names where there are links. */
async function expectApart(parts: readonly Dataset[], file: string): Promise<void> {
  const identity = async (path: string) => {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    return found && `${found.dev} ${found.ino}`;
  };
  const written = await identity(file);
  for (const { name } of parts)
    if (written !== undefined && (await identity(name)) === written)
      throw new ArgumentError(`runEvaluation: file is ${file}, where samples are read from, expected another`);
}

interface Place {
  readonly part: number;
  readonly index: number;
}

/** What was not asked yet, in order. */
function* placesLeft(parts: readonly Dataset[], limit: number, records: RecordFile): Generator<Place, void, undefined> {
  for (const [part, { length }] of parts.entries())
    for (let index = 0; index < Math.min(limit, length); index++) if (!records.has(part, index)) yield { part, index };
}

function take(places: Generator<Place, void, undefined>, count: number): Place[] {
  const taken: Place[] = [];
  while (taken.length < count) {
    const { value, done } = places.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** A sample that can be asked, or the record of one that cannot. */
type Found = { readonly place: Place; readonly asked: AskedSample } | { readonly record: SampleRecord };

async function readPlace(parts: readonly Dataset[], place: Place, pool: DecodePool, signal?: AbortSignal): Promise<Found> {
  const dataset = parts[place.part] as Dataset;
  const faulty = (id: string, task: string, fault: string) => ({
    record: { ...place, id, task, size: [0, 0] as const, turns: [], fault },
  });
  try {
    const sample = await readSample(dataset, place.index);
    const { image, masks, id, task } = sample;
    if (image === undefined) return faulty(id, task, 'it has no picture, and a model is asked about pictures');
    const result = await pool.decode({ image, masks }, signal);
    if ('faults' in result) return faulty(id, task, result.faults.map(({ field, reason }) => `${field}: ${reason}`).join('; '));
    return { place, asked: { sample, image: result.decoded.image as NonNullable<typeof result.decoded.image> } };
  } catch (error) {
    if (!(error instanceof SampleError)) throw error;
    return faulty(`${error.file}:${error.line}`, 'unknown', error.message);
  }
}

async function answered(model: Answering, found: readonly Found[], options: AnswerOptions): Promise<SampleRecord[]> {
  const good = found.filter((one) => 'asked' in one);
  const turns = await ask(
    model,
    good.map((one) => one.asked),
    options,
  );
  return found.map((one): SampleRecord => {
    if ('record' in one) return one.record;
    const { sample, image } = one.asked;
    const answers = turns[good.indexOf(one)] ?? [];
    const size = [image.height, image.width] as const;
    const hasMasks = sample.masks.length > 0;
    return {
      ...one.place,
      id: sample.id,
      task: sample.task,
      size,
      turns: answers.map((turn) => ({ ...turn, value: turnValue(sample.task, hasMasks, size, turn) })),
    };
  });
}
