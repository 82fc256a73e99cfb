/** Looks at every sample of a data set, its picture and masks too, and says all that is wrong. */
import { availableParallelism } from 'node:os';
import { AbortedError, SampleError, type SampleFault } from '../errors';
import type { RgbImage } from '../image/decode';
import { DecodePool } from './decode_pool';
import { type Dataset, readSample, type Sample } from './sample';
import { hashOf } from './shuffle';

export interface CheckOptions {
  /** Samples that are looked at, from the first; default all. */
  readonly limit?: number;
  /** Whether pictures and masks are decoded; default true. */
  readonly decode?: boolean;
  /** Default one less than there are cores, at most 4. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
}

export interface CheckedSample {
  readonly index: number;
  /** Undefined where it could not be read. */
  readonly sample?: Sample;
  /** Undefined where it is not decoded, or something is wrong. */
  readonly image?: RgbImage;
  /** None: it is good. */
  readonly faults: readonly SampleFault[];
}

/** In the order of the data set, a few looked at together. @throws AbortedError when `signal` fires. */
export async function* checkSamples(dataset: Dataset, options: CheckOptions = {}): AsyncGenerator<CheckedSample, void, undefined> {
  const { limit = dataset.length, decode = true, signal, workers = Math.max(1, Math.min(4, availableParallelism() - 1)) } = options;
  const pool = new DecodePool(workers);
  const ids = new FirstUses();
  const count = Math.min(limit, dataset.length);
  const underWay: Promise<CheckedSample>[] = [];
  try {
    for (let next = 0; next < count || underWay.length > 0; ) {
      if (signal?.aborted) throw new AbortedError(`${dataset.name}: aborted`, { cause: signal.reason });
      while (next < count && underWay.length < 2 * workers + 2) {
        const checked = checkSample(dataset, next++, decode ? pool : undefined);
        checked.catch(() => {}); // told when its turn comes
        underWay.push(checked);
      }
      const checked = (await underWay.shift()) as CheckedSample;
      const { sample, index } = checked;
      const before = sample && ids.add(sample.id, index);
      if (before === undefined) yield checked;
      else {
        const reason = `is ${JSON.stringify(sample?.id)}, as in line ${before + 1}`;
        yield { ...checked, faults: [...checked.faults, { problem: 'record', field: 'id', reason }] };
      }
    }
  } finally {
    await pool.close();
    await Promise.allSettled(underWay);
  }
}

async function checkSample(dataset: Dataset, index: number, pool: DecodePool | undefined): Promise<CheckedSample> {
  let sample: Sample;
  try {
    sample = await readSample(dataset, index);
  } catch (error) {
    if (error instanceof SampleError) return { index, faults: error.faults };
    throw error;
  }
  if (!pool) return { index, sample, faults: [] };
  const result = await pool.decode({ image: sample.image, masks: sample.masks });
  return 'faults' in result ? { index, sample, faults: result.faults } : { index, sample, image: result.decoded.image, faults: [] };
}

/** Where each name was used first. A Map holds 2^24 names, a data set may have more. */
class FirstUses {
  readonly #shards = Array.from({ length: 256 }, () => new Map<string, number>());

  /** @returns where `id` was used before. */
  add(id: string, index: number): number | undefined {
    const characters = [id.length, id.charCodeAt(id.length - 1), id.charCodeAt(id.length - 2) || 0, id.charCodeAt(id.length - 3) || 0];
    const shard = this.#shards[hashOf(...characters) % this.#shards.length] as Map<string, number>;
    const before = shard.get(id);
    if (before === undefined) shard.set(id, index);
    return before;
  }
}
