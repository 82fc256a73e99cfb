/**
 * The model as programs use it: opened from a folder, asked about images, disposed. Any number of requests may run at once; the
 * device takes their steps in turn.
 */
import { ArgumentError } from '../errors';
import type { Answer, AnswerEvent } from './answer';
import { answering, answeringOne } from './answering';
import { Chat } from './chat';
import { expectOptions, shown } from './checks';
import { EncodedImage, type ImageInput, pictureOf } from './encoded_image';
import { type Engine, prefixLength } from './engine';
import { type AnswerStream, EventStream } from './event_stream';
import { type ExploredNode, type ExploreOptions, explore, exploreChecks } from './explore';
import { Lifetime } from './lifetime';
import { loadEngine } from './load_engine';
import type { LoadOptions } from './load_options';
import { leaseMaskSource } from './mask_source';
import { leasePrefix } from './read_image';
import {
  type AnswerOptions,
  type AnswerRequest,
  answeringOptions,
  type ChatOptions,
  expectImage,
  expectRequest,
  type ImageQuestion,
  idsOf,
  imageChecks,
  optionChecks,
  questionChecks,
  questionText,
  requestChecks,
} from './request';
import type { Question } from './row';
import { type SegmentedObject, type SegmentRequest, segment, segmentChecks } from './segmenting';

export class Mglmm implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #lifetime = new Lifetime('the model');
  /** To free what their users did not dispose. */
  readonly #chats = new Set<WeakRef<Chat>>();

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
    return this.#stream('answer', request).final();
  }

  /** As {@link answer}, told while it is made: text token by token, masks between as soon as they are asked for and decoded. */
  stream(request: AnswerRequest): AnswerStream {
    return this.#stream('stream', request);
  }

  /**
   * Answers several questions together, in less time than one after another: each pass through the weights serves all. Each gets the
   * answer it would get alone (to the bit up to 4 questions; more share their products in another order of sums).
   */
  async answerAll(questions: readonly ImageQuestion[], options: AnswerOptions = {}): Promise<Answer[]> {
    if (!Array.isArray(questions)) throw new ArgumentError(`answerAll: questions are ${shown(questions)}, expected a list`);
    expectOptions('answerAll', options, optionChecks);
    for (const [i, question] of questions.entries()) expectRequest(`answerAll: question ${i}`, question, questionChecks);
    using _work = this.#lifetime.enter();
    const engine = this.#engine;
    const asked = await Promise.all(questions.map((one) => this.#question('answerAll', { ...options, ...one })));
    const answers: Answer[] = [];
    if (asked.length === 0) return answers;
    for await (const { row, event } of answering(engine, asked, answeringOptions(engine, 'answerAll', options))) {
      if (event.type === 'done') answers[row] = event.answer;
    }
    return answers;
  }

  /** A conversation about one image. Follow-up questions pay for nothing but themselves. Dispose of it: it holds what was read. */
  chat(options: ChatOptions): Chat {
    expectRequest('chat', options, { ...optionChecks, ...imageChecks });
    const { image, ...answers } = options;
    const chat = new Chat(this.#engine, this.#lifetime, (signal) => pictureOf(this, image, signal), answers);
    for (const one of this.#chats) if (!one.deref()) this.#chats.delete(one);
    this.#chats.add(new WeakRef(chat));
    return chat;
  }

  /** The scene, then each object of it, then the parts of those: one tree. Objects are asked about together. */
  async explore(image: ImageInput, options: ExploreOptions = {}): Promise<ExploredNode> {
    return this.exploreStream(image, options).final();
  }

  /** As {@link explore}: its nodes as they are found, the whole picture first, each thing before its parts. */
  exploreStream(image: ImageInput, options: ExploreOptions = {}): EventStream<ExploredNode, ExploredNode> {
    return new EventStream(this.#explore(image, options));
  }

  /** Masks for points, boxes and earlier masks: an entry for each object that is meant. @throws ArgumentError, ImageError, AbortedError. */
  async segmentAnything(request: SegmentRequest): Promise<SegmentedObject[]> {
    expectRequest('segmentAnything', request, segmentChecks);
    using _work = this.#lifetime.enter();
    const { model, cache } = this.#engine;
    return segment(model.sam, cache, await pictureOf(this, request.image, request.signal), request);
  }

  /** Reads an image for questions to come, which then pay for nothing but themselves, and keeps what it read until it is disposed. */
  async encodeImage(image: ImageInput, options: { signal?: AbortSignal } = {}): Promise<EncodedImage> {
    expectRequest('encodeImage', { image, ...options }, imageChecks);
    using _work = this.#lifetime.enter();
    const [engine, { signal }] = [this.#engine, options];
    const picture = await pictureOf(this, image, signal);
    const ids = idsOf(engine, 'encodeImage', [{ question: '?' }], undefined);
    const prefix = leasePrefix(engine, picture, ids.slice(0, prefixLength(engine, ids)), signal);
    const masks = engine.segId === undefined ? [] : [leaseMaskSource(engine.model.sam, engine.cache, picture, signal)];
    return EncodedImage.holding(this, picture, [prefix, ...masks]);
  }

  /** Waits for what runs, then frees all. What is asked afterwards is a DisposedError. Idempotent. */
  dispose(): Promise<void> {
    const { cache, model } = this.#engine;
    return this.#lifetime.end(() => {
      for (const chat of this.#chats) chat.deref()?.free();
      cache[Symbol.dispose]();
      model.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #stream(call: string, request: AnswerRequest): AnswerStream {
    return new EventStream(this.#events(call, request));
  }

  async *#events(call: string, request: AnswerRequest): AsyncGenerator<AnswerEvent, Answer, undefined> {
    expectRequest(call, request, requestChecks);
    using _work = this.#lifetime.enter();
    const options = answeringOptions(this.#engine, call, request);
    return yield* answeringOne(this.#engine, await this.#question(call, request), options);
  }

  async *#explore(image: ImageInput, options: ExploreOptions): AsyncGenerator<ExploredNode, ExploredNode, undefined> {
    expectOptions('explore', options, exploreChecks);
    expectImage('explore', image);
    using _work = this.#lifetime.enter();
    return yield* explore(this.#engine, await pictureOf(this, image, options.signal), options);
  }

  async #question(call: string, { image, prompt, system, seed, signal }: AnswerRequest): Promise<Question> {
    const askedMs = performance.now();
    const ids = idsOf(this.#engine, call, [{ question: questionText(call, prompt) }], system);
    const picture = await pictureOf(this, image, signal);
    return { picture, ids, seed, askedMs, imageMs: performance.now() - askedMs };
  }
}
