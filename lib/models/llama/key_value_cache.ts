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

  /**
   * The rows of several caches as one batch, in memory of its own.
   * @param capacity - room in all for a row; default the block that holds the longest.
   */
  static merge(caches: readonly KeyValueCache[], capacity = 0): KeyValueCache {
    return finished(KeyValueCache.merging(caches, capacity));
  }

  /** As {@link merge}, a layer a step: a deep model has hundreds of ops to call. */
  static *merging(caches: readonly KeyValueCache[], capacity = 0): Generator<void, KeyValueCache> {
    const lengths = caches.flatMap((cache) => cache.lengths);
    const room = inBlocks(Math.max(capacity, ...lengths));
    const depth = caches[0]?.layers.length ?? 0;
    const layers = yield* layerByLayer(depth, (layer, part) =>
      concat(
        caches.map((cache) => resized((cache.layers[layer] as CachedLayer)[part], Math.max(...cache.lengths), room)),
        0,
      ),
    );
    return new KeyValueCache(layers, lengths, room);
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
    finished(this.reserving(tokens));
  }

  /** As {@link reserve}, a layer a step; what is given up before the end leaves all as it was. */
  *reserving(tokens: number): Generator<void, void> {
    if (tokens <= this.#capacity) return;
    const capacity = inBlocks(tokens);
    const before = this.#layers;
    this.#layers = yield* layerByLayer(before.length, (layer, part) =>
      resized((before[layer] as CachedLayer)[part], this.#capacity, capacity),
    );
    this.#capacity = capacity;
    disposeAll(before);
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
  copy(row: number, length?: number, capacity?: number): KeyValueCache {
    return finished(this.copying(row, length, capacity));
  }

  /** As {@link copy}, a layer a step. */
  *copying(row: number, length: number = this.lengths[row] ?? 0, capacity: number = length): Generator<void, KeyValueCache> {
    this.#expectRow('copy', row);
    if (!(Number.isInteger(length) && length >= 0 && length <= (this.lengths[row] as number))) {
      throw new ArgumentError(`copy: length is ${String(length)}, expected 0 to ${this.lengths[row]}, the tokens of row ${row}`);
    }
    const room = inBlocks(Math.max(length, capacity));
    const { layers } = this;
    const copied = yield* layerByLayer(layers.length, (layer, part) =>
      resized(rowsView((layers[layer] as CachedLayer)[part], row, row + 1), length, room),
    );
    return new KeyValueCache(copied, [length], room);
  }

  dispose(): void {
    disposeAll(this.#layers);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #expectRow(method: string, row: number): void {
    if (Number.isInteger(row) && row >= 0 && row < this.batch) return;
    throw new ArgumentError(`${method}: row is ${String(row)}, expected 0 to ${this.batch - 1}`);
  }
}

/** The first `length` tokens of `[batch, kvHeads, capacity, headDim]`, with room for `capacity`. */
function resized(cached: Tensor, length: number, capacity: number): Tensor {
  const [batch, heads, room, headDim] = cached.shape as [number, number, number, number];
  const filled = length === room ? cached : slice(cached, 2, 0, length);
  return concat([filled, zeros([batch, heads, capacity - length, headDim], cached.dtype)], 2);
}

/** Makes the keys and values of `depth` layers, one layer a step; those of a walk that is not finished are freed. */
function* layerByLayer(depth: number, make: (layer: number, part: keyof CachedLayer) => Tensor): Generator<void, CachedLayer[]> {
  const layers: CachedLayer[] = [];
  let isWhole = false;
  try {
    for (let layer = 0; layer < depth; layer++) {
      if (layer > 0) yield;
      const [keys, values] = [kept(tidy(() => make(layer, 'keys'))), kept(tidy(() => make(layer, 'values')))];
      layers.push({ keys, values });
    }
    isWhole = true;
    return layers;
  } finally {
    if (!isWhole) disposeAll(layers);
  }
}

function disposeAll(layers: readonly CachedLayer[]): void {
  for (const { keys, values } of layers) {
    keys.dispose();
    values.dispose();
  }
}

function finished<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** A cache outlives the scope it is made in. */
const kept = (tensor: Tensor) => Scope.disown(tensor);
