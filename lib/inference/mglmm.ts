/**
 * The model as programs use it: opened from a folder, asked about images, disposed. Any number of requests may run at once; the
 * device takes their steps in turn.
 */
import { ArgumentError } from '../errors';
import type { Answer, AnswerEvent } from './answer';
import { AnswerStream } from './answer_stream';
import { answering } from './answering';
import { expectOptions, isSignal } from './checks';
import { EncodedImage } from './encoded_image';
import { type Engine, prefixLength } from './engine';
import { Lifetime } from './lifetime';
import type { LoadOptions } from './load_options';
import { loadEngine } from './model_files';
import { openPicture, type Picture } from './picture';
import { leaseMaskSource, leasePrefix } from './read_image';
import {
  type AnswerOptions,
  type AnswerRequest,
  answeringOptions,
  expectRequest,
  type ImageInput,
  type ImageQuestion,
  idsOf,
  optionChecks,
  questionChecks,
  questionText,
} from './request';
import type { Question } from './row';
import type { Lease } from './shared_cache';

export class Mglmm implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #lifetime = new Lifetime('the model');

  private constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Opens a model: a folder of MGLMM, GLaMM, LISA or LLaVA as published, or of `mglmm convert`. Weights are put into the order they run
   * fastest in as they come, so that hardly more memory is needed than they take afterwards.
   * @throws CheckpointError and its kinds, TokenizerError: for what is missing, damaged or does not fit, naming it; ArgumentError for
   *   options; DeviceError for a device that is not there; AbortedError.
   */
  static async load(path: string, options: LoadOptions = {}): Promise<Mglmm> {
    return new Mglmm(await loadEngine(path, options));
  }

  /**
   * The answer to a question about an image, with a mask for each phrase that has one.
   * @throws ArgumentError, ImageError, LengthError for what is asked; DisposedError, AbortedError, OutOfMemoryError.
   */
  async answer(request: AnswerRequest): Promise<Answer> {
    return new AnswerStream(this.#events('answer', request)).final();
  }

  /** As {@link answer}, told while it is made: text token by token, masks between as soon as they are asked for and decoded. */
  stream(request: AnswerRequest): AnswerStream {
    return new AnswerStream(this.#events('stream', request));
  }

  /**
   * Answers several questions together, in less time than one after another: each pass through the weights serves all. Each gets the
   * answer it would get alone.
   */
  async answerAll(questions: readonly ImageQuestion[], options: AnswerOptions = {}): Promise<Answer[]> {
    const call = 'answerAll';
    if (!Array.isArray(questions)) throw new ArgumentError(`${call}: questions are ${String(questions)}, expected a list`);
    expectOptions(call, options, optionChecks);
    for (const [i, question] of questions.entries()) expectRequest(`${call}: question ${i}`, question, questionChecks);
    using _work = this.#lifetime.enter();
    const asked = await Promise.all(questions.map((one) => this.#question(call, { ...options, ...one })));
    const answers = new Map<number, Answer>();
    if (asked.length === 0) return [];
    for await (const { row, event } of answering(this.#engine, asked, answeringOptions(this.#engine, call, options))) {
      if (event.type === 'done') answers.set(row, event.answer);
    }
    return asked.map((_, row) => answers.get(row) as Answer);
  }

  /** Reads an image for questions to come, which then pay for nothing but themselves, and keeps what it read until it is disposed. */
  async encodeImage(image: ImageInput, options: { signal?: AbortSignal } = {}): Promise<EncodedImage> {
    expectOptions('encodeImage', options, { signal: isSignal });
    using _work = this.#lifetime.enter();
    const picture = await this.#picture(image, options.signal);
    const [engine, { signal }] = [this.#engine, options];
    const ids = idsOf(engine, 'encodeImage', [{ question: '?' }], undefined);
    const held: Lease<unknown>[] = [await leasePrefix(engine, picture, ids.slice(0, prefixLength(engine, ids)), signal)];
    try {
      if (engine.segId !== undefined) held.push(await leaseMaskSource(engine, picture, signal));
      for (const { settled } of held) await settled;
    } catch (error) {
      for (const lease of held) lease[Symbol.dispose]();
      throw error;
    }
    return new EncodedImage(this, picture, held);
  }

  /** Waits for what runs, then frees all. What is asked afterwards is a DisposedError. */
  dispose(): Promise<void> {
    const { cache, model } = this.#engine;
    return this.#lifetime.end(() => {
      cache[Symbol.dispose]();
      model.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async *#events(call: string, request: AnswerRequest): AsyncGenerator<AnswerEvent, void, undefined> {
    expectRequest(call, request);
    using _work = this.#lifetime.enter();
    const options = answeringOptions(this.#engine, call, request);
    const question = await this.#question(call, request);
    for await (const { event } of answering(this.#engine, [question], options)) yield event;
  }

  async #question(call: string, { image, prompt, system, seed, signal }: AnswerRequest): Promise<Question> {
    const askedMs = performance.now();
    const ids = idsOf(this.#engine, call, [{ question: questionText(call, prompt) }], system);
    const picture = await this.#picture(image, signal);
    return { picture, ids, seed, askedMs, imageMs: performance.now() - askedMs };
  }

  async #picture(image: ImageInput, signal: AbortSignal | undefined): Promise<Picture> {
    if (!(image instanceof EncodedImage)) return openPicture(image, { signal });
    if (image.owner !== this) throw new ArgumentError('the encoded image is of another model, expected one of this');
    return image.picture;
  }
}
