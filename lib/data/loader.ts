/** Batches of samples with their pictures and masks decoded, the next ones ahead of time: what a training loop asks for. */
import { availableParallelism } from 'node:os';
import { orAborted } from '../abort';
import { expectKnown } from '../checks';
import { AbortedError, ArgumentError, DataError, SampleError, type SampleProblem } from '../errors';
import type { RgbImage } from '../image/decode';
import { DecodePool } from './decode_pool';
import type { DecodedSample } from './decode_sample';
import type { Draw, Draws } from './mixture';
import { type Dataset, readSample, type Sample, sampleErrorOf } from './sample';

const abortedMessage = 'loader: aborted';

export interface Batch {
  readonly samples: readonly Sample[];
  /** Of each sample, at its own size; undefined where it has none. */
  readonly images: readonly (RgbImage | undefined)[];
  /** Of each sample, in the order of its `[SEG]`: `[height, width]` of its picture, 0 or 1. */
  readonly masks: readonly (readonly Uint8Array[])[];
  /** Bad samples that were left out. */
  readonly skipped: number;
  readonly index: number;
}

/** Batch `index` is the same whenever and in whatever order it is asked for, so a run goes on from a number alone. */
export interface BatchSource {
  /**
   * @param index - from 0; it runs on from one epoch into the next.
   * @throws SampleError for a bad sample, where such are not skipped; AbortedError when `signal` fires.
   */
  batch(index: number, options?: { signal?: AbortSignal }): Promise<Batch>;
  /** Batches of an epoch. */
  readonly length: number;
  close(): Promise<void>;
}

export interface LoaderOptions {
  /** Which samples: a `Mixture`, or `EachOnce`. */
  readonly mixture: Draws;
  /** Samples of a batch; fewer where `mixture` has no more. */
  readonly batchSize: number;
  /** Which of `world` processes this is, from 0; default 0 of 1. No two of them ever take the same draw. */
  readonly rank?: number;
  readonly world?: number;
  /** Default as many as go once through as many samples as the data sets have. */
  readonly batchesPerEpoch?: number;
  /** `fail`: a bad sample is an error. `skip`: what `mixture` has instead stands in for it, always the same. Default `fail`. */
  readonly onBadSample?: 'skip' | 'fail';
  /** Is told of each bad sample that is skipped, when its batch is given. */
  readonly onSkip?: (error: SampleError) => void;
  /** Threads that decode; default one less than there are cores, at most 4. With 0 masks are decoded on the thread that asks. */
  readonly workers?: number;
  /** Batches that are decoded before they are asked for, and held; default 2. */
  readonly ahead?: number;
  /** A picture with more pixels is a bad sample; default 100 million. */
  readonly maxPixels?: number;
}

interface Taken extends DecodedSample {
  readonly sample: Sample;
}

interface Loaded {
  /** Undefined where nothing stands in for what is bad. */
  readonly taken?: Taken;
  readonly bad: readonly SampleError[];
}

interface Entry {
  readonly loaded: Promise<readonly Loaded[]>;
  readonly controller: AbortController;
  /** Callers that wait for it. */
  callers: number;
}

const optionNames = [
  'mixture',
  'batchSize',
  'rank',
  'world',
  'batchesPerEpoch',
  'onBadSample',
  'onSkip',
  'workers',
  'ahead',
  'maxPixels',
] satisfies (keyof LoaderOptions)[];

/** Bad samples in a row, in the place of one, after which a data set is given up. */
const mostReplacements = 100;

/** Position `p` of the mixture goes to process `p % world`: its batch is the next `batchSize` of its positions. */
export class Loader implements BatchSource, AsyncDisposable {
  readonly length: number;
  /** Bad samples of the batches given so far, by what is wrong with them. */
  readonly skipped: ReadonlyMap<SampleProblem, number>;
  readonly #skipped = new Map<SampleProblem, number>();
  readonly #options: LoaderOptions & { readonly rank: number; readonly world: number; readonly ahead: number };
  readonly #pool: DecodePool;
  readonly #entries = new Map<number, Entry>();
  #closed = false;

  /** @throws ArgumentError for an option that is none. */
  constructor(options: LoaderOptions) {
    expectKnown('loader', options, optionNames);
    const { mixture, batchSize, rank = 0, world = 1, ahead = 2, onBadSample = 'fail' } = options;
    const { workers = Math.max(1, Math.min(4, availableParallelism() - 1)) } = options;
    expectWhole({ batchSize, world }, 1);
    expectWhole({ rank, ahead, workers }, 0);
    if (rank >= world) throw new ArgumentError(`loader: rank is ${rank}, expected below world, which is ${world}`);
    if (onBadSample !== 'skip' && onBadSample !== 'fail')
      throw new ArgumentError(`loader: onBadSample is ${JSON.stringify(onBadSample)}, expected skip or fail`);
    const { batchesPerEpoch = Math.ceil(mixture.length / (batchSize * world)) } = options;
    expectWhole({ batchesPerEpoch }, 1);
    this.length = batchesPerEpoch;
    this.skipped = this.#skipped;
    this.#options = { ...options, rank, world, ahead };
    this.#pool = new DecodePool(workers);
  }

  async batch(index: number, { signal }: { signal?: AbortSignal } = {}): Promise<Batch> {
    if (!(Number.isSafeInteger(index) && index >= 0))
      throw new ArgumentError(`loader: batch ${String(index)} was asked for, expected a whole number, 0 or more`);
    if (this.#closed) throw new AbortedError('loader: it was closed');
    if (signal?.aborted) throw new AbortedError(abortedMessage, { cause: signal.reason });
    const { ahead } = this.#options;
    const entry = this.#entry(index);
    entry.callers++;
    for (const [other, { callers, controller }] of this.#entries) {
      if (callers > 0 || (other >= index && other <= index + ahead)) continue;
      this.#entries.delete(other);
      controller.abort();
    }
    for (let next = index + 1; next <= index + ahead; next++) this.#entry(next);
    try {
      return this.#give(index, await orAborted(entry.loaded, signal, abortedMessage));
    } finally {
      entry.callers--;
      if (entry.callers === 0 && !signal?.aborted) this.#entries.delete(index);
    }
  }

  /** What is under way is given up; whoever waits for a batch has an AbortedError. The data sets stay open. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { controller } of this.#entries.values()) controller.abort();
    await this.#pool.close();
    await Promise.allSettled([...this.#entries.values()].map(({ loaded }) => loaded));
    this.#entries.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #entry(index: number): Entry {
    let entry = this.#entries.get(index);
    if (!entry) {
      const controller = new AbortController();
      entry = { loaded: this.#load(index, controller.signal), controller, callers: 0 };
      entry.loaded.catch(() => {}); // whoever asks for the batch is told
      this.#entries.set(index, entry);
    }
    return entry;
  }

  #give(index: number, loaded: readonly Loaded[]): Batch {
    const bad = loaded.flatMap((one) => one.bad);
    for (const error of bad) {
      this.#skipped.set(error.problem, (this.#skipped.get(error.problem) ?? 0) + 1);
      this.#options.onSkip?.(error);
    }
    const taken = loaded.flatMap((one) => one.taken ?? []);
    return {
      samples: taken.map(({ sample }) => sample),
      images: taken.map(({ image }) => image),
      masks: taken.map(({ masks }) => masks),
      skipped: bad.length,
      index,
    };
  }

  async #load(index: number, signal: AbortSignal): Promise<readonly Loaded[]> {
    const { batchSize, world, rank } = this.#options;
    const positions = Array.from({ length: batchSize }, (_, i) => (index * batchSize + i) * world + rank);
    // All of them end before the first error is told, so that it is the same one each time.
    const settled = await Promise.allSettled(positions.map((position) => this.#loadAt(position, signal)));
    return settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  async #loadAt(position: number, signal: AbortSignal): Promise<Loaded> {
    const { mixture, onBadSample } = this.#options;
    const bad: SampleError[] = [];
    for (let draw = mixture.draw(position); draw; draw = mixture.replacement(position, bad.length)) {
      try {
        return { taken: await this.#read(draw, signal), bad };
      } catch (error) {
        if (!(error instanceof SampleError) || onBadSample !== 'skip') throw error;
        bad.push(error);
        if (bad.length <= mostReplacements) continue;
        const { name } = mixture.parts[draw.part] as Dataset;
        throw new DataError(`${name}: ${bad.length} samples in a row are bad, the last: ${error.message}`, { cause: error });
      }
    }
    return { bad };
  }

  async #read({ part, index }: Draw, signal: AbortSignal): Promise<Taken> {
    if (signal.aborted) throw new AbortedError('loader: the batch was given up');
    const dataset = this.#options.mixture.parts[part] as Dataset;
    const sample = await readSample(dataset, index);
    const result = await this.#pool.decode({ image: sample.image, masks: sample.masks, maxPixels: this.#options.maxPixels }, signal);
    if ('faults' in result) throw sampleErrorOf(dataset, index, result.faults);
    return { ...result.decoded, sample };
  }
}

function expectWhole(values: Readonly<Record<string, number>>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(Number.isSafeInteger(value) && value >= least))
      throw new ArgumentError(`loader: ${name} is ${String(value)}, expected a whole number, ${least} or more`);
  }
}
