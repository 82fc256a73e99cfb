/** Something long while it is made: its events, once, or the whole of it. */
import { ArgumentError } from '../errors';
import type { Device } from '../native';
import { onDevice } from '../tensor/device';
import type { Answer, AnswerEvent } from './answer';

/** Streams whose user has gone without a word: their work is given up as if the loop had been left. */
const forgotten = new FinalizationRegistry<AsyncGenerator<unknown, unknown, undefined>>((events) => {
  events.return(undefined).catch(() => undefined);
});

/**
 * `for await (const event of stream)`: work begins with the first event; leaving the loop gives up the rest. Or the whole:
 * `await stream.final()`.
 */
export class EventStream<Event, Result> implements AsyncIterableIterator<Event, void, undefined>, AsyncDisposable {
  readonly #device: Device;
  readonly #events: AsyncGenerator<Event, Result, undefined>;
  #result?: { readonly value: Result };

  /** @param device - of all that `events` makes: what holds where a generator is asked for its next value holds in it too. */
  constructor(device: Device, events: AsyncGenerator<Event, Result, undefined>) {
    this.#device = device;
    this.#events = events;
    forgotten.register(this, events, this);
  }

  async next(): Promise<IteratorResult<Event, void>> {
    const next = await onDevice(this.#device, () => this.#events.next());
    if (!next.done) return next;
    forgotten.unregister(this);
    if (next.value !== undefined) this.#result = { value: next.value };
    return { done: true, value: undefined };
  }

  /** Gives up what is left. */
  async return(): Promise<IteratorResult<Event, void>> {
    forgotten.unregister(this);
    await onDevice(this.#device, () => this.#events.return(undefined as never));
    return { done: true, value: undefined };
  }

  /** The whole; events that were not taken are passed over. @throws ArgumentError when the loop was left before its end. */
  async final(): Promise<Result> {
    while (!(await this.next()).done);
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
