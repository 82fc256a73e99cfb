/**
 * What is made of images and prompts, by content, for all requests that need it: made once even when several ask at once, given
 * up when all of them have gone before it was there, kept afterwards as long as there is room, least recently used first to go.
 */
import { orAborted } from '../abort';
import { DisposedError } from '../errors';

export interface Made<Value> {
  readonly value: Value;
  readonly bytes: number;
  /** Rejects when the ops that compute it fail; until it resolves, whoever lets go of the value gives those ops up. */
  readonly settled: Promise<unknown>;
}

/** A value that stays whole until it is let go. */
export interface Lease<Value> extends Disposable {
  readonly value: Value;
  /** Of {@link Made}. */
  readonly settled: Promise<unknown>;
  /** Whether somebody had asked for it before. */
  readonly cached: boolean;
}

interface Entry {
  readonly making: Promise<Made<Disposable>>;
  readonly giveUp: AbortController;
  made?: Made<Disposable>;
  settled: boolean;
  users: number;
}

const numbers = new WeakMap<object, number>();
let given = 0;

/** Part of a key: what the same parts of models make is the same, whichever models share them. */
export function madeBy(...parts: readonly object[]): string {
  const numberOf = (part: object) => {
    const number = numbers.get(part) ?? given++;
    numbers.set(part, number);
    return number;
  };
  return parts.map(numberOf).join('+');
}

export class SharedCache implements Disposable {
  readonly #limit: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #disposed = false;

  /** @param limit - bytes of what nobody uses. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Of all that is there, used or not. */
  get bytes(): number {
    let sum = 0;
    for (const { made } of this.#entries.values()) sum += made?.bytes ?? 0;
    return sum;
  }

  /**
   * The value of `key`, made by `make` unless it is there or on its way. The signal that `make` gets fires when nobody waits any more.
   * @throws AbortedError when `signal` fires; what `make` throws.
   */
  async acquire<Value extends Disposable>(
    key: string,
    make: (signal: AbortSignal) => Promise<Made<Value>>,
    signal?: AbortSignal,
  ): Promise<Lease<Value>> {
    if (this.#disposed) throw new DisposedError('the model was disposed');
    const before = this.#entries.get(key);
    const entry = before ?? this.#begin(key, make);
    entry.users++;
    if (before) this.#touch(key, entry);
    let inUse = true;
    const letGo = () => {
      if (inUse) this.#release(key, entry);
      inUse = false;
    };
    try {
      const { value, settled } = await orAborted(entry.making, signal, 'the request was aborted');
      return { value: value as Value, settled, cached: before !== undefined, [Symbol.dispose]: letGo };
    } catch (error) {
      letGo();
      throw error;
    }
  }

  /** Gives up and frees everything, in use or not. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const [key, entry] of this.#entries) this.#drop(key, entry);
  }

  #begin(key: string, make: (signal: AbortSignal) => Promise<Made<Disposable>>): Entry {
    const giveUp = new AbortController();
    const entry: Entry = { making: make(giveUp.signal), giveUp, settled: false, users: 0 };
    const failed = () => this.#drop(key, entry);
    entry.making.then((made) => {
      entry.made = made;
      made.settled.then(() => {
        entry.settled = true;
      }, failed);
      if (giveUp.signal.aborted) made.value[Symbol.dispose]();
    }, failed);
    this.#entries.set(key, entry);
    return entry;
  }

  #release(key: string, entry: Entry): void {
    entry.users--;
    if (entry.users > 0) return;
    if (this.#entries.get(key) !== entry) entry.made?.value[Symbol.dispose]();
    else if (!entry.settled) this.#drop(key, entry);
    else this.#evict();
  }

  #evict(): void {
    let { bytes } = this;
    for (const [key, entry] of this.#entries) {
      if (bytes <= this.#limit) return;
      if (entry.users > 0) continue;
      bytes -= entry.made?.bytes ?? 0;
      this.#drop(key, entry);
    }
  }

  /** From now on it is made anew; whoever uses it keeps it, unless all is disposed. */
  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    if (entry.users > 0 && !this.#disposed) return;
    entry.giveUp.abort();
    entry.made?.value[Symbol.dispose]();
  }

  #touch(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }
}
