/** A conversation about one image: each question is read behind what was read before, the image once. */
import { expectOptions, given } from '../checks';
import { ArgumentError, DisposedError } from '../errors';
import type { Turn } from '../text/prompt';
import type { Adapters } from './adapters';
import type { Answer, AnswerEvent } from './answer';
import { answering } from './answering';
import { Conversation } from './conversation';
import { type AnswerStream, EventStream } from './event_stream';
import type { GiveUp, Lifetime } from './lifetime';
import { leaseMaskSource, type MaskSource } from './mask_source';
import type { Picture } from './picture';
import { type AnswerOptions, answeringOptions, idsOf, optionChecks, questionText } from './request';
import type { Lease } from './shared_cache';

/** A question that was answered. */
export interface ChatTurn {
  readonly prompt: string;
  readonly answer: Answer;
}

export class Chat implements AsyncDisposable {
  readonly #adapters: Adapters;
  readonly #lifetime: Lifetime;
  readonly #open: (signal?: AbortSignal) => Promise<Picture>;
  readonly #options: AnswerOptions;
  readonly #turns: ChatTurn[] = [];
  #picture?: Picture;
  #conversation?: Conversation;
  #maskSource?: Lease<MaskSource>;
  /** Of the answer that is being made. */
  #busy?: { readonly ended: Promise<void>; readonly giveUp: GiveUp };
  #isDisposed = false;

  /** @param open - gives the picture. */
  constructor(adapters: Adapters, lifetime: Lifetime, open: (signal?: AbortSignal) => Promise<Picture>, options: AnswerOptions) {
    this.#adapters = adapters;
    this.#lifetime = lifetime;
    this.#open = open;
    this.#options = options;
  }

  /** What was asked and answered so far. What was given up is not among it. */
  get turns(): readonly ChatTurn[] {
    return this.#turns;
  }

  /**
   * The answer to the next question, with the masks of this answer alone.
   * @param options - for this question, before those of the chat.
   * @throws ArgumentError while another answer is made; LengthError when the conversation no longer fits into the model's context; else
   *   as `Mglmm.answer`.
   */
  async ask(prompt: string, options: AnswerOptions = {}): Promise<Answer> {
    return this.stream(prompt, options).final();
  }

  /** As {@link ask}, told while it is made. */
  stream(prompt: string, options: AnswerOptions = {}): AnswerStream {
    return new EventStream(this.#adapters.device, (giveUp) => this.#events(prompt, options, giveUp));
  }

  /**
   * Waits for the answer that is being made, then forgets the conversation. The next event of a stream that nobody is waiting for is a
   * DisposedError. Idempotent.
   */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.#busy?.giveUp(gone());
    await this.#busy?.ended;
    this.free();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** What {@link dispose} does when nothing runs. */
  free(): void {
    this.#isDisposed = true;
    this.#conversation?.[Symbol.dispose]();
    this.#maskSource?.[Symbol.dispose]();
    this.#conversation = undefined;
    this.#maskSource = undefined;
  }

  async *#events(prompt: string, options: AnswerOptions, giveUp: GiveUp): AsyncGenerator<AnswerEvent, Answer, undefined> {
    expectOptions('chat', options, optionChecks);
    const question = questionText('chat', prompt);
    using _work = this.#lifetime.enter(giveUp);
    if (this.#isDisposed) throw gone();
    if (this.#busy !== undefined) {
      throw new ArgumentError('chat: another answer is being made; await it, or leave its loop, before the next question');
    }
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#busy = { ended, giveUp };
    try {
      return yield* this.#turn(prompt, question, { ...this.#options, ...given(options) }, giveUp);
    } finally {
      this.#busy = undefined;
      end();
    }
  }

  async *#turn(prompt: string, question: string, options: AnswerOptions, giveUp: GiveUp): AsyncGenerator<AnswerEvent, Answer, undefined> {
    using used = this.#adapters.use('chat', options.adapter, giveUp);
    const [{ engine }, { signal, system, seed }] = [used, options];
    const askedMs = performance.now();
    // Ids behind the tokenizer's, of a vocabulary that is padded to a round number, stand for nothing: no prompt has them.
    const said = ({ ids }: Answer) => ids.filter((id) => engine.tokenizer.findPiece(id));
    const turns: Turn[] = this.#turns.map((turn) => ({ question: questionText('chat', turn.prompt), answer: said(turn.answer) }));
    const ids = idsOf(engine, 'chat', [...turns, { question }], system);
    this.#picture ??= await this.#open(signal);
    const picture = this.#picture;
    // What another adapter read is not what this one would have.
    if (this.#conversation?.engine !== engine) {
      this.#conversation?.[Symbol.dispose]();
      this.#conversation = new Conversation(engine, picture);
    }
    const asked = { engine, picture, ids, seed, askedMs, imageMs: performance.now() - askedMs };
    let failure: unknown;
    try {
      const events = answering([asked], answeringOptions(engine, 'chat', options), this.#conversation);
      let answer: Answer | undefined;
      for await (const { event } of events) {
        if (event.type === 'done') {
          answer = event.answer;
          this.#turns.push({ prompt, answer });
          // Kept for the questions to come, whatever other images come between. Its masks were made of it: it is there.
          if (answer.segments.length > 0) this.#maskSource ??= await leaseMaskSource(engine.model.sam, engine.cache, picture);
        }
        yield event; // `done` may be the last that is asked for
      }
      return answer as Answer;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#conversation.rollBack(failure);
    }
  }
}

const gone = () => new DisposedError('the chat was disposed');
