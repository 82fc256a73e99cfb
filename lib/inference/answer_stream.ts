/** An answer while it is made. */
import { ArgumentError } from '../errors';
import type { Answer, AnswerEvent } from './answer';

/** Streams whose user has gone without a word: their work is given up as if the loop had been left. */
const forgotten = new FinalizationRegistry<AsyncGenerator<AnswerEvent, void, undefined>>((events) => {
  events.return().catch(() => undefined);
});

/**
 * The events of an answer, once: `for await (const event of stream)`. Work begins with the first; leaving the loop gives up the
 * rest. Or the whole of it: `await stream.final()`.
 */
export class AnswerStream implements AsyncIterableIterator<AnswerEvent, void, undefined>, AsyncDisposable {
  readonly #events: AsyncGenerator<AnswerEvent, void, undefined>;
  #answer?: Answer;

  constructor(events: AsyncGenerator<AnswerEvent, void, undefined>) {
    this.#events = events;
    forgotten.register(this, events, this);
  }

  async next(): Promise<IteratorResult<AnswerEvent, void>> {
    const next = await this.#events.next();
    if (next.done) forgotten.unregister(this);
    else if (next.value.type === 'done') this.#answer = next.value.answer;
    return next;
  }

  /** Gives up what is left. */
  async return(): Promise<IteratorResult<AnswerEvent, void>> {
    forgotten.unregister(this);
    await this.#events.return();
    return { done: true, value: undefined };
  }

  /** The whole answer; events that were not taken are passed over. @throws ArgumentError when the loop was left before its end. */
  async final(): Promise<Answer> {
    while (!(await this.next()).done);
    if (this.#answer) return this.#answer;
    throw new ArgumentError('stream: it was left before its end, so there is no whole answer');
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
