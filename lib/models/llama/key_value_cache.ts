/**
 * Keys and values of the tokens a decoder has read, so that it reads each of them once. A row has pages ahead of need, and holds
 * as many tokens as `lengths` says; what lies behind them does not count. Rows that begin alike may share pages: what a row
 * appends goes to pages that it alone holds.
 */
import { ArgumentError, DisposedError } from '../../errors';
import type { Dtype } from '../../native';
import { tensor } from '../../tensor/create';
import type { Tensor } from '../../tensor/tensor';
import { type CachedLayer, type CacheSizes, finished, KeyValuePool, pageTokens } from './key_value_pool';

export interface CacheOptions {
  /** Rows; default 1. */
  batch?: number;
  /** Tokens a row has room for, rounded up to pages of 64; more room is made when it is needed. Default one page. */
  capacity?: number;
  /** That of the model's weights; default f32. */
  dtype?: Dtype;
}

const pagesOf = (tokens: number) => Math.ceil(tokens / pageTokens);
/** A row has one page at least. */
const pagesWithRoom = (...tokens: number[]) => pagesOf(Math.max(1, ...tokens));
/** One number is that of every row. */
const ofRow = (tokens: number | readonly number[], row: number) => (typeof tokens === 'number' ? tokens : (tokens[row] ?? 0));
const range = (begin: number, count: number) => Array.from({ length: count }, (_, i) => begin + i);
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

export class KeyValueCache implements Disposable {
  readonly batch: number;
  /** Tokens in each row. */
  readonly lengths: number[];
  readonly #pool: KeyValuePool;
  /** Of each row, in the order of its tokens; undefined once it is disposed. */
  #held?: readonly (readonly number[])[];

  private constructor(pool: KeyValuePool, pages: readonly (readonly number[])[], lengths: number[]) {
    this.batch = lengths.length;
    this.lengths = lengths;
    this.#pool = pool;
    this.#held = pages;
    for (const held of pages) pool.hold(held);
  }

  /** An empty cache. */
  static of(sizes: CacheSizes, { batch = 1, capacity = pageTokens, dtype = 'f32' }: CacheOptions = {}): KeyValueCache {
    const count = pagesWithRoom(capacity);
    const pages = range(0, batch).map((row) => range(row * count, count));
    return new KeyValueCache(KeyValuePool.of(sizes, batch * count, dtype), pages, new Array<number>(batch).fill(0));
  }

  /**
   * The rows of several caches as one batch, in memory of its own; full pages that rows share they go on to share.
   * @param capacity - room in all, for every row or for each; default the pages that hold its tokens.
   */
  static merge(caches: readonly KeyValueCache[], capacity: number | readonly number[] = 0): KeyValueCache {
    return finished(KeyValueCache.merging(caches, capacity));
  }

  /** As {@link merge}, a layer a step: a deep model has hundreds of ops to call. */
  static *merging(caches: readonly KeyValueCache[], capacity: number | readonly number[] = 0): Generator<void, KeyValueCache> {
    if (caches.length === 0) throw new ArgumentError('merge: caches is empty, expected at least one');
    const lengths = caches.flatMap((cache) => cache.lengths);
    const filled = caches.flatMap((cache) => cache.#pages.map((_, row) => cache.#filled(row, cache.lengths[row] as number)));
    const spare = filled.map(({ pages }, row) => pagesWithRoom(lengths[row] as number, ofRow(capacity, row)) - pages.length);
    // Of each pool, where full pages come to lie.
    const places = new Map(filled.map(({ pool }) => [pool, new Map<number, number>()]));
    const copied: { pool: KeyValuePool; pages: number[] }[] = [];
    let free = 0;
    const rows = filled.map(({ pool, pages }, row) => {
      const known = places.get(pool) as Map<number, number>;
      const isFull = (place: number) => (place + 1) * pageTokens <= (lengths[row] as number);
      const fresh = pages.filter((page, place) => !(isFull(place) && known.has(page)));
      copied.push({ pool, pages: fresh });
      return pages.map((page, place) => {
        const at = (isFull(place) ? known.get(page) : undefined) ?? free++;
        if (isFull(place)) known.set(page, at);
        return at;
      });
    });
    const pool = yield* KeyValuePool.gathering(copied, sum(spare));
    for (const [row, pages] of rows.entries()) {
      pages.push(...range(free, spare[row] as number));
      free += spare[row] as number;
    }
    return new KeyValueCache(pool, rows, lengths);
  }

  /**
   * The rows of caches that share their memory, as {@link sharing} makes them, as one batch. It takes their place: they are
   * disposed, and nothing is copied.
   */
  static join(caches: readonly [KeyValueCache, ...KeyValueCache[]]): KeyValueCache {
    const pool = caches[0].#pool;
    if (caches.some((cache) => cache.#pool !== pool)) {
      throw new ArgumentError('join: caches do not share their memory, expected those of one call of sharing');
    }
    const pages = caches.flatMap((cache) => cache.#pages);
    const joined = new KeyValueCache(
      pool,
      pages,
      caches.flatMap((cache) => cache.lengths),
    );
    for (const cache of caches) cache.dispose();
    return joined;
  }

  /** One for each layer of the decoder. They change when room is made that the memory does not have yet. */
  get layers(): readonly CachedLayer[] {
    return this.#pool.layers;
  }

  /** Tokens every row has room for. */
  get capacity(): number {
    return Math.min(...this.#pages.map((pages) => pages.length)) * pageTokens;
  }

  /** Of keys and values in all layers, room that is not filled yet and what other caches share included. */
  get bytes(): number {
    return this.#pool.bytes;
  }

  /** `[batch, width]` i32: the pages of each row, for `attentionCached`. @param width - default the pages of the longest row. */
  pageTable(width = Math.max(...this.#pages.map((pages) => pages.length))): Tensor {
    const table = new Int32Array(this.batch * width);
    for (const [row, pages] of this.#pages.entries()) table.set(pages.slice(0, width), row * width);
    return tensor(table, [this.batch, width]);
  }

  /** Whether `tokens` fit in every row, or in each, and what it appends would go to pages that it alone holds. */
  hasRoom(tokens: number | readonly number[]): boolean {
    return this.#pages.every((pages, row) => pages.length >= pagesWithRoom(ofRow(tokens, row)) && this.#shared(row).length === 0);
  }

  /** Makes room for `tokens` in every row, or in each; what is cached stays. */
  reserve(tokens: number | readonly number[]): void {
    finished(this.reserving(tokens));
  }

  /** As {@link reserve}, a layer a step; what is given up before the end leaves all as it was. */
  *reserving(tokens: number | readonly number[]): Generator<void, void> {
    const shared = this.#pages.map((_, row) => this.#shared(row));
    const more = this.#pages.map((pages, row) => Math.max(0, pagesWithRoom(ofRow(tokens, row)) - pages.length));
    const count = sum(more) + shared.flat().length;
    if (count === 0) return;
    const taken = yield* this.#pool.taking(count);
    const replaced: number[] = [];
    let isWhole = false;
    try {
      let next = 0;
      const pages = this.#pages.map((before) => [...before]);
      for (const [row, own] of pages.entries()) {
        for (const place of shared[row] as number[]) {
          const [from, to] = [own[place] as number, taken[next++] as number];
          if (place * pageTokens < (this.lengths[row] as number)) yield* this.#pool.copyingPage(from, to);
          replaced.push(from);
          own[place] = to;
        }
        own.push(...taken.slice(next, next + (more[row] as number)));
        next += more[row] as number;
      }
      this.#held = pages;
      isWhole = true;
    } finally {
      this.#pool.release(isWhole ? replaced : taken);
    }
  }

  /** Forgets the tokens of a row from `length` on. */
  truncate(row: number, length: number): void {
    this.#expectLength('truncate', row, length);
    this.lengths[row] = length;
  }

  /**
   * The first `length` tokens of a row in memory of their own.
   * @param capacity - room in all; default the pages that hold them.
   */
  copy(row: number, length?: number, capacity?: number): KeyValueCache {
    return finished(this.copying(row, length, capacity));
  }

  /** As {@link copy}, a layer a step. */
  *copying(row: number, length: number = this.lengths[row] ?? 0, capacity: number = length): Generator<void, KeyValueCache> {
    this.#expectLength('copy', row, length);
    const [copied] = yield* this.sharing(row, length, [capacity]);
    return copied as KeyValueCache;
  }

  /**
   * Caches of one row that all begin with the first `length` tokens of a row, in memory of their own, which they share: pages that
   * those tokens fill are there once. A layer a step. While one of them makes room, none may be written to.
   * @param capacities - of each cache, its room in all.
   */
  *sharing(row: number, length: number, capacities: readonly number[]): Generator<void, KeyValueCache[]> {
    this.#expectLength('sharing', row, length);
    if (capacities.length === 0) throw new ArgumentError('sharing: capacities are none, expected at least one');
    const { pool, pages } = this.#filled(row, length);
    const full = Math.floor(length / pageTokens);
    const begun = pages.slice(full); // one page or none, which each cache has a copy of
    const own = capacities.map((capacity) => pagesWithRoom(length, capacity) - full);
    const copied = [...pages.slice(0, full), ...capacities.flatMap(() => begun)];
    const shared = yield* KeyValuePool.gathering([{ pool, pages: copied }], sum(own) - capacities.length * begun.length);
    let free = copied.length;
    return own.map((count, i) => {
      const room = range(free, count - begun.length);
      free += room.length;
      const rest = [...range(full + i * begun.length, begun.length), ...room];
      return new KeyValueCache(shared, [[...range(0, full), ...rest]], [length]);
    });
  }

  dispose(): void {
    if (this.#held) this.#pool.release(this.#held.flat());
    this.#held = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #pages(): readonly (readonly number[])[] {
    if (!this.#held) throw new DisposedError('KeyValueCache: it was disposed, expected a live cache');
    return this.#held;
  }

  /** The pages that hold the first `length` tokens of a row. */
  #filled(row: number, length: number): { pool: KeyValuePool; pages: readonly number[] } {
    return { pool: this.#pool, pages: (this.#pages[row] as readonly number[]).slice(0, pagesOf(length)) };
  }

  /** Which pages of a row, behind those that are full, other rows hold too: it must not append to them. */
  #shared(row: number): number[] {
    const pages = this.#pages[row] as readonly number[];
    const full = Math.floor((this.lengths[row] as number) / pageTokens);
    return range(full, Math.max(0, pages.length - full)).filter((place) => this.#pool.isShared(pages[place] as number));
  }

  #expectLength(method: string, row: number, length: number): void {
    if (!(Number.isInteger(row) && row >= 0 && row < this.batch)) {
      throw new ArgumentError(`${method}: row is ${String(row)}, expected 0 to ${this.batch - 1}`);
    }
    if (Number.isInteger(length) && length >= 0 && length <= (this.lengths[row] as number)) return;
    throw new ArgumentError(`${method}: length is ${String(length)}, expected 0 to ${this.lengths[row]}, the tokens of row ${row}`);
  }
}
