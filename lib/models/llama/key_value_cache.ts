/**
 * Keys and values of the tokens a decoder has read, so that it reads each of them once. Memory is taken in blocks of tokens
 * ahead of need; a row holds as many tokens as `lengths` says, what lies behind them does not count.
 */
import { ArgumentError } from '../../errors';
import type { Dtype } from '../../native';
import { concat } from '../../ops/concat';
import { zeros } from '../../ops/fill';
import { rowsView } from '../../ops/rows_view';
import { slice } from '../../ops/slice';
import { noGradients } from '../../tensor/ambient';
import { Scope, tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaConfig } from './config';

/** What one layer remembers. */
export interface CachedLayer {
  /** `[batch, kvHeads, capacity, headDim]`, turned to their positions. */
  readonly keys: Tensor;
  /** Shape of `keys`. */
  readonly values: Tensor;
}

type CacheSizes = Pick<LlamaConfig, 'depth' | 'kvHeads' | 'headDim'>;

/** Tokens by which a cache grows at least: 64 of a 7B model in bf16 are 32 MiB. */
const blockTokens = 64;
const inBlocks = (tokens: number) => Math.ceil(Math.max(tokens, 1) / blockTokens) * blockTokens;

export interface CacheOptions {
  /** Rows; default 1. */
  batch?: number;
  /** Tokens a row has room for, rounded up to a block; more room is made when it is needed. Default one block. */
  capacity?: number;
  /** That of the model's weights; default f32. */
  dtype?: Dtype;
}

export class KeyValueCache implements Disposable {
  readonly batch: number;
  /** Tokens in each row. */
  readonly lengths: number[];
  #layers: CachedLayer[];
  #capacity: number;

  private constructor(layers: CachedLayer[], lengths: number[], capacity: number) {
    this.batch = lengths.length;
    this.lengths = lengths;
    this.#layers = layers;
    this.#capacity = capacity;
  }

  /** An empty cache. */
  static of(sizes: CacheSizes, { batch = 1, capacity = blockTokens, dtype = 'f32' }: CacheOptions = {}): KeyValueCache {
    const room = inBlocks(capacity);
    const shape = [batch, sizes.kvHeads, room, sizes.headDim];
    const layers = Array.from({ length: sizes.depth }, () => ({
      keys: kept(zeros(shape, dtype)),
      values: kept(zeros(shape, dtype)),
    }));
    return new KeyValueCache(layers, new Array<number>(batch).fill(0), room);
  }

  /** One for each layer of the decoder. They change when room is made. */
  get layers(): readonly CachedLayer[] {
    return this.#layers;
  }

  /** Tokens a row has room for. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Of keys and values in all layers, room that is not filled yet included. */
  get bytes(): number {
    const unit = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 } as const;
    return this.#layers.reduce((sum, { keys }) => sum + 2 * keys.count * unit[keys.dtype], 0);
  }

  /** Makes room for `tokens` in every row; what is cached stays. */
  reserve(tokens: number): void {
    if (tokens <= this.#capacity) return;
    const capacity = inBlocks(tokens);
    const grown = (cached: Tensor) => {
      const [batch, heads, , headDim] = cached.shape as [number, number, number, number];
      const result = tidy(() => concat([cached, zeros([batch, heads, capacity - this.#capacity, headDim], cached.dtype)], 2));
      cached.dispose();
      return kept(result);
    };
    this.#layers = noGradients(() => this.#layers.map(({ keys, values }) => ({ keys: grown(keys), values: grown(values) })));
    this.#capacity = capacity;
  }

  /**
   * Row `row` as a cache of batch 1 on the same memory: what is appended to it, is appended here once `lengths` says so. It
   * holds until this cache makes room.
   */
  row(row: number): KeyValueCache {
    this.#expectRow('row', row);
    const layers = this.#layers.map(({ keys, values }) => ({
      keys: kept(rowsView(keys, row, row + 1)),
      values: kept(rowsView(values, row, row + 1)),
    }));
    return new KeyValueCache(layers, [this.lengths[row] as number], this.#capacity);
  }

  /** Forgets the tokens of a row from `length` on. */
  truncate(row: number, length: number): void {
    this.#expectRow('truncate', row);
    if (!(Number.isInteger(length) && length >= 0 && length <= (this.lengths[row] as number))) {
      throw new ArgumentError(`truncate: length is ${String(length)}, expected 0 to ${this.lengths[row]}, the tokens of row ${row}`);
    }
    this.lengths[row] = length;
  }

  /**
   * The first `length` tokens of a row in memory of their own.
   * @param capacity - room in all; default the block that holds them.
   */
  copy(row: number, length: number = this.lengths[row] ?? 0, capacity: number = length): KeyValueCache {
    this.#expectRow('copy', row);
    if (!(Number.isInteger(length) && length >= 0 && length <= (this.lengths[row] as number))) {
      throw new ArgumentError(`copy: length is ${String(length)}, expected 0 to ${this.lengths[row]}, the tokens of row ${row}`);
    }
    const room = inBlocks(Math.max(length, capacity));
    const copied = (cached: Tensor) =>
      kept(
        tidy(() => {
          const [, heads, , headDim] = cached.shape as [number, number, number, number];
          const filled = slice(rowsView(cached, row, row + 1), 2, 0, length);
          return concat([filled, zeros([1, heads, room - length, headDim], cached.dtype)], 2);
        }),
      );
    const layers = noGradients(() => this.#layers.map(({ keys, values }) => ({ keys: copied(keys), values: copied(values) })));
    return new KeyValueCache(layers, [length], room);
  }

  dispose(): void {
    for (const { keys, values } of this.#layers) {
      keys.dispose();
      values.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #expectRow(method: string, row: number): void {
    if (Number.isInteger(row) && row >= 0 && row < this.batch) return;
    throw new ArgumentError(`${method}: row is ${String(row)}, expected 0 to ${this.batch - 1}`);
  }
}

/** A cache outlives the scope it is made in. */
const kept = (tensor: Tensor) => Scope.disown(tensor);
