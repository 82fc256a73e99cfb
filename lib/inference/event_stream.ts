/** Something long while it is made: its events, once, or the whole of it. */
import { ArgumentError, type DisposedError } from '../errors';
import type { Device } from '../native';
import { onDevice } from '../tensor/device';
import type { Answer, AnswerEvent } from './answer';
import type { GiveUp } from './lifetime';

/** Streams whose user has gone without a word: their work is given up as if the loop had been left. */
const forgotten = new FinalizationRegistry<Source<unknown, unknown>>((source) => {
  source.return().catch(() => undefined);
});

/** Where a stream has its events from. What may have to give it up holds this, which does not keep the stream alive. */
class Source<Event, Result> {
  readonly #device: Device;
  readonly #events: AsyncGenerator<Event, Result, undefined>;
  #readers = 0;
  #gone?: DisposedError;

  constructor(device: Device, begin: (giveUp: GiveUp) => AsyncGenerator<Event, Result, undefined>) {
    this.#device = device;
    this.#events = begin((reason) => {
      if (this.#readers > 0) return;
      this.#gone = reason;
      this.return().catch(() => undefined);
    });
  }

  /** Runs `body`, which reads: until it ends nothing is given up. */
  async reading<Value>(body: () => Promise<Value>): Promise<Value> {
    this.#readers++;
    try {
      return await body();
    } finally {
      this.#readers--;
    }
  }

  next(): Promise<IteratorResult<Event, Result>> {
    return this.reading(async () => {
      if (this.#gone) throw this.#gone;
      return await onDevice(this.#device, () => this.#events.next());
    });
  }

  async return(): Promise<void> {
    await onDevice(this.#device, () => this.#events.return(undefined as never));
  }
}

/**
 * `for await (const event of stream)`: work begins with the first event; leaving the loop gives up the rest. Or the whole:
 * `await stream.final()`. Where the loop stands still when what it uses is disposed of, the next event is a DisposedError.
 */
export class EventStream<Event, Result> implements AsyncIterableIterator<Event, void, undefined>, AsyncDisposable {
  readonly #source: Source<Event, Result>;
  #result?: { readonly value: Result };

  /**
   * @param device - of all that the events make: what holds where a generator is asked for its next value holds in it too.
   * @param begin - gives the events, and is given what gives them up where nobody waits for one.
   */
  constructor(device: Device, begin: (giveUp: GiveUp) => AsyncGenerator<Event, Result, undefined>) {
    this.#source = new Source(device, begin);
    forgotten.register(this, this.#source, this);
  }

  async next(): Promise<IteratorResult<Event, void>> {
    const next = await this.#source.next();
    if (!next.done) return next;
    forgotten.unregister(this);
    if (next.value !== undefined) this.#result = { value: next.value };
    return { done: true, value: undefined };
  }

  /** Gives up what is left. */
  async return(): Promise<IteratorResult<Event, void>> {
    forgotten.unregister(this);
    await this.#source.return();
    return { done: true, value: undefined };
  }

  /** The whole; events that were not taken are passed over. @throws ArgumentError when the loop was left before its end. */
  async final(): Promise<Result> {
    await this.#source.reading(async () => {
      while (!(await this.next()).done);
    });
    if (this.#result) return this.#result.value;
    throw new ArgumentError('stream: its loop was left before the end, so there is nothing whole');
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** An answer while it is made. */
export type AnswerStream = EventStream<AnswerEvent, Answer>;
