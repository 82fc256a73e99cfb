/** What the language model has read of one conversation about a picture, so that the next question begins where it ended. */
import { AbortedError } from '../errors';
import { breathe } from '../generate/breathe';
import type { GeneratePrompt } from '../generate/options';
import type { KeyValueCache } from '../models/llama/key_value_cache';
import { noGradients } from '../tensor/ambient';
import type { Tensor } from '../tensor/tensor';
import { type Engine, prefixLength, tokensOf } from './engine';
import { expectGoing, kept } from './paced';
import type { Picture } from './picture';
import { leasePrefix } from './read_image';

/** A prompt for `generate`, and what of it was read before. */
export interface ReadyPrompt extends Disposable {
  readonly prompt: Pick<GeneratePrompt, 'embeddings' | 'cache'>;
  readonly cachedTokens: number;
  readonly prefixCached: boolean;
  readonly featuresCached?: boolean;
}

/** One whose cache is that of a {@link Prefix}: for `generate` to copy. */
interface SharedPrompt extends ReadyPrompt {
  readonly prompt: { readonly embeddings: Tensor; readonly cache: KeyValueCache };
  /** Of {@link Lease}. */
  readonly settled: Promise<unknown>;
}

/** Makes a prompt of `ids`, which have an image token, behind what is read of them already: what stands up to the image. */
export async function readyPrompt(
  engine: Engine,
  picture: Picture,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<SharedPrompt> {
  const length = prefixLength(engine, ids);
  const lease = await leasePrefix(engine, picture, ids.slice(0, length), signal);
  const { cached, value, settled } = lease;
  const embeddings = embed(engine, ids.slice(length));
  return {
    prompt: { embeddings, cache: value.cache },
    settled,
    cachedTokens: cached ? (value.cache.lengths[0] as number) : 0,
    prefixCached: cached,
    featuresCached: cached ? undefined : value.featuresCached,
    [Symbol.dispose]: () => {
      embeddings.dispose();
      lease[Symbol.dispose]();
    },
  };
}

export class Conversation implements Disposable {
  readonly engine: Engine;
  readonly #picture: Picture;
  #cache?: KeyValueCache;
  /** Whether what `#cache` is a copy of is known to have been read. */
  #isFilled = false;
  /** Those that `#cache` holds. */
  #ids: readonly number[] = [];

  constructor(engine: Engine, picture: Picture) {
    this.engine = engine;
    this.#picture = picture;
  }

  /** As {@link readyPrompt}, behind all of `ids` that was read in this conversation; its cache is for `generate` to extend. */
  async ready(ids: readonly number[], signal: AbortSignal | undefined): Promise<ReadyPrompt> {
    const common = this.#common(ids);
    if (this.#cache && common >= prefixLength(this.engine, ids)) {
      const cachedTokens = tokensOf(this.engine, ids.slice(0, common));
      this.#cache.truncate(0, cachedTokens);
      this.#ids = ids.slice(0, common);
      const embeddings = embed(this.engine, ids.slice(common));
      const prompt = { embeddings, cache: this.#cache };
      return { prompt, cachedTokens, prefixCached: true, [Symbol.dispose]: () => embeddings.dispose() };
    }
    this.#forget();
    const first = await readyPrompt(this.engine, this.#picture, ids, signal);
    const { cache, embeddings } = first.prompt;
    const read = cache.lengths[0] as number;
    const copying = cache.copying(0, read, read + (embeddings.shape[1] as number) + roomTokens);
    try {
      const copied = await breathe(copying, () => expectGoing(signal));
      this.#cache = copied;
      const filled = () => {
        if (this.#cache === copied) this.#isFilled = true;
      };
      first.settled.then(filled, () => undefined);
    } catch (error) {
      first[Symbol.dispose]();
      throw error;
    }
    this.#ids = ids.slice(0, prefixLength(this.engine, ids));
    return { ...first, prompt: { embeddings, cache: this.#cache } };
  }

  /** `ids` were read, and `answer` was made behind them. */
  commit(ids: readonly number[], answer: readonly number[]): void {
    this.#ids = [...ids, ...answer.slice(0, -1)]; // the last token is not read
    this.#isFilled = true;
  }

  /** What was read since {@link ready} may be cut off anywhere. */
  rollBack(error: unknown): void {
    const read = tokensOf(this.engine, this.#ids);
    // Ops that were given up leave the cache as it was, which is nothing where those were that it is a copy of; of ops that failed that
    // is not known.
    const isWhole = this.#isFilled && (error === undefined || error instanceof AbortedError);
    if (this.#cache && isWhole && (this.#cache.lengths[0] as number) >= read) this.#cache.truncate(0, read);
    else this.#forget();
  }

  [Symbol.dispose](): void {
    this.#forget();
  }

  #forget(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
    this.#isFilled = false;
    this.#ids = [];
  }

  /** How many of `ids` were read; the last one is read again, for its state. */
  #common(ids: readonly number[]): number {
    const most = Math.min(this.#ids.length, ids.length - 1);
    let count = 0;
    while (count < most && this.#ids[count] === ids[count]) count++;
    return count;
  }
}

/** Of an answer of usual length, so that the cache need not grow. */
const roomTokens = 128;

const embed = ({ model }: Engine, ids: readonly number[]) => noGradients(() => kept(() => model.embed([ids])));
