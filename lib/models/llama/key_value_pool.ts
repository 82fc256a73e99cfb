/**
 * The memory of caches: pages of tokens, each with the keys and values of all layers, which several rows may hold. A page that no
 * row holds any more is free for others; when none is held, the memory is given back.
 */
import type { Dtype } from '../../native';
import { concat } from '../../ops/concat';
import { copyInto } from '../../ops/copy_into';
import { zeros } from '../../ops/fill';
import { gatherRows } from '../../ops/gather_rows';
import { reshape } from '../../ops/reshape';
import { rowsView } from '../../ops/rows_view';
import { tensor } from '../../tensor/create';
import { Scope, tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaConfig } from './config';

/** What one layer remembers. */
export interface CachedLayer {
  /** `[pages, kvHeads, pageTokens, headDim]`, turned to their positions. */
  readonly keys: Tensor;
  /** Shape of `keys`. */
  readonly values: Tensor;
}

export type CacheSizes = Pick<LlamaConfig, 'depth' | 'kvHeads' | 'headDim'>;

/** Tokens of a page, of which a kernel takes as many at a time: in all layers of a 7B model in bf16 they are 32 MiB. */
export const pageTokens = 64;

export class KeyValuePool {
  #layers: readonly CachedLayer[];
  /** How many rows hold each page. */
  readonly #holders: number[];

  private constructor(layers: readonly CachedLayer[], pages: number) {
    this.#layers = layers;
    this.#holders = new Array<number>(pages).fill(0);
  }

  /** Free pages, of zeros. */
  static of({ depth, kvHeads, headDim }: CacheSizes, pages: number, dtype: Dtype): KeyValuePool {
    const made = layerByLayer(depth, () => zeros([pages, kvHeads, pageTokens, headDim], dtype));
    return new KeyValuePool(finished(made), pages);
  }

  /** Copies of pages, in their order, then `spare` more; a layer a step. All of them are free. */
  static *gathering(from: readonly { pool: KeyValuePool; pages: readonly number[] }[], spare: number): Generator<void, KeyValuePool> {
    const { pool: first } = from[0] as { pool: KeyValuePool };
    const layers = yield* layerByLayer(first.#layers.length, (layer, part) => {
      const of = (pool: KeyValuePool) => (pool.#layers[layer] as CachedLayer)[part];
      const copies = from.filter(({ pages }) => pages.length > 0).map(({ pool, pages }) => gathered(of(pool), pages));
      return withRoom(copies, spare, of(first));
    });
    return new KeyValuePool(
      layers,
      from.reduce((sum, { pages }) => sum + pages.length, spare),
    );
  }

  /** One for each layer of the decoder; others once the pool has grown. */
  get layers(): readonly CachedLayer[] {
    return this.#layers;
  }

  /** Of keys and values in all pages. */
  get bytes(): number {
    const unit = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 } as const;
    return this.#layers.reduce((sum, { keys }) => sum + 2 * keys.count * unit[keys.dtype], 0);
  }

  isShared(page: number): boolean {
    return (this.#holders[page] as number) > 1;
  }

  /** Free pages, which the caller holds now. The pool grows where it has too few: a layer a step, all of it or not at all. */
  *taking(count: number): Generator<void, number[]> {
    let free = this.#free();
    while (free.length < count) {
      yield* this.#growing(count - free.length);
      free = this.#free(); // somebody else may have taken some meanwhile
    }
    const taken = free.slice(0, count);
    this.hold(taken);
    return taken;
  }

  hold(pages: readonly number[]): void {
    for (const page of pages) (this.#holders[page] as number)++;
  }

  release(pages: readonly number[]): void {
    for (const page of pages) (this.#holders[page] as number)--;
    if (this.#holders.every((count) => count === 0)) disposeAll(this.#layers);
  }

  /** Writes what a page holds into another; a layer a step. */
  *copyingPage(from: number, to: number): Generator<void, void> {
    for (const [layer, { keys, values }] of this.#layers.entries()) {
      if (layer > 0) yield;
      tidy(() => {
        for (const part of [keys, values]) copyInto(rowsView(part, from, from + 1), rowsView(part, to, to + 1));
      });
    }
  }

  #free(): number[] {
    return [...this.#holders.keys()].filter((page) => this.#holders[page] === 0);
  }

  *#growing(count: number): Generator<void, void> {
    const before = this.#layers;
    this.#layers = yield* layerByLayer(before.length, (layer, part) => {
      const pages = (before[layer] as CachedLayer)[part];
      return withRoom([pages], count, pages);
    });
    for (let i = 0; i < count; i++) this.#holders.push(0);
    disposeAll(before);
  }
}

/** Some of the pages `[pages, kvHeads, pageTokens, headDim]`. */
function gathered(pages: Tensor, chosen: readonly number[]): Tensor {
  const [count, ...page] = pages.shape as [number, number, number, number];
  const rows = reshape(pages, [count, page.reduce((product, size) => product * size, 1)]);
  return reshape(gatherRows(rows, tensor(chosen, [chosen.length], 'i32')), [chosen.length, ...page]);
}

/** `parts` one behind another, then `spare` pages of zeros like those of `like`. */
function withRoom(parts: readonly Tensor[], spare: number, like: Tensor): Tensor {
  const room = zeros([spare, ...like.shape.slice(1)], like.dtype);
  return parts.length > 0 ? concat([...parts, room], 0) : room;
}

/** Makes the keys and values of `depth` layers, one layer a step; those of a walk that is not finished are freed. */
function* layerByLayer(depth: number, make: (layer: number, part: keyof CachedLayer) => Tensor): Generator<void, CachedLayer[]> {
  const layers: CachedLayer[] = [];
  let isWhole = false;
  // A cache outlives the scope it is made in.
  const kept = (layer: number, part: keyof CachedLayer) => tidy(() => Scope.disown(make(layer, part)));
  try {
    for (let layer = 0; layer < depth; layer++) {
      if (layer > 0) yield;
      layers.push({ keys: kept(layer, 'keys'), values: kept(layer, 'values') });
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

/** Takes all steps at once. */
export function finished<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
