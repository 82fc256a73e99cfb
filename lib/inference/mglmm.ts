/**
 * The model as programs use it: opened from a folder, asked about images, disposed. Any number of requests may run at once; the
 * device takes their steps in turn.
 */
import { expectOptions, given, isSignal, isString, shown } from '../checks';
import { ArgumentError } from '../errors';
import type { Device } from '../native';
import { Adapters, type EngineInUse } from './adapters';
import type { Answer, AnswerEvent } from './answer';
import { answering, answeringOne } from './answering';
import { Chat } from './chat';
import { EncodedImage, type ImageInput, pictureOf } from './encoded_image';
import { type Engine, prefixLength } from './engine';
import { type AnswerStream, EventStream } from './event_stream';
import { type ExploredNode, type ExploreOptions, explore, exploreChecks } from './explore';
import { type GiveUp, Lifetime } from './lifetime';
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
  readonly #adapters: Adapters;
  readonly #lifetime = new Lifetime('the model');
  /** To free what their users did not dispose. */
  readonly #chats = new Set<WeakRef<Chat>>();

  private constructor(engine: Engine) {
    this.#engine = engine;
    this.#adapters = new Adapters(engine);
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
   * Opens an adapter of this model, as `mglmm train` and PEFT write them: LoRA, and weights that were trained whole. Requests name it to be
   * answered by it; the base stays as it is and is held once, whatever its `dtype`.
   * @throws CheckpointError and its kinds for what is no adapter of this model, naming what does not fit; ArgumentError for a name that
   *   is taken; AbortedError.
   */
  async loadAdapter(name: string, folder: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    expectOptions('loadAdapter', options, { signal: isSignal });
    await this.#lifetime.during(this.device, () => this.#adapters.load(name, folder, options.signal));
  }

  /** Lets no more requests use an adapter, waits for those that do, as {@link dispose} does, then frees it. @throws ArgumentError for one that is not there. */
  async unloadAdapter(name: string): Promise<void> {
    await this.#lifetime.during(this.device, () => this.#adapters.unload(name));
  }

  /** Where it computes. */
  get device(): Device {
    return this.#engine.model.device;
  }

  /** Names of the adapters that are there. */
  get adapters(): readonly string[] {
    return this.#adapters.names;
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
   * answer it would get alone (to the bit up to 4 questions; more share their products in another order of sums), whatever adapters
   * the others name.
   */
  async answerAll(questions: readonly ImageQuestion[], options: AnswerOptions = {}): Promise<Answer[]> {
    if (!Array.isArray(questions)) throw new ArgumentError(`answerAll: questions are ${shown(questions)}, expected a list`);
    expectOptions('answerAll', options, optionChecks);
    for (const [i, question] of questions.entries()) expectRequest(`answerAll: question ${i}`, question, questionChecks);
    return this.#lifetime.during(this.device, () => this.#answerAll(questions, options));
  }

  /** A conversation about one image. Follow-up questions pay for nothing but themselves. Dispose of it: it holds what was read. */
  chat(options: ChatOptions): Chat {
    expectRequest('chat', options, { ...optionChecks, ...imageChecks });
    this.#lifetime.expectGoing();
    const { image, ...answers } = options;
    const chat = new Chat(this.#adapters, this.#lifetime, (signal) => pictureOf(this, image, signal), answers);
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
    return new EventStream(this.device, (giveUp) => this.#explore(image, options, giveUp));
  }

  /** Masks for points, boxes and earlier masks: an entry for each object that is meant. @throws ArgumentError, ImageError, AbortedError. */
  async segmentAnything(request: SegmentRequest): Promise<SegmentedObject[]> {
    expectRequest('segmentAnything', request, segmentChecks);
    const { model, cache } = this.#engine;
    return this.#lifetime.during(this.device, async () =>
      segment(model.sam, cache, await pictureOf(this, request.image, request.signal), request),
    );
  }

  /**
   * Reads an image for questions to come, which then pay for nothing but themselves, and keeps what it read until it is disposed.
   * @param options.adapter - that of the questions; to another it is an image like any other.
   */
  async encodeImage(image: ImageInput, options: { adapter?: string; signal?: AbortSignal } = {}): Promise<EncodedImage> {
    expectOptions('encodeImage', options, { adapter: isString, signal: isSignal });
    expectImage('encodeImage', image);
    return this.#lifetime.during(this.device, () => this.#encodeImage(image, options));
  }

  /**
   * Waits for what runs, then frees all. What is asked afterwards is a DisposedError, as is the next event of a stream that nobody is
   * waiting for. Idempotent.
   */
  dispose(): Promise<void> {
    const { cache, model } = this.#engine;
    return this.#lifetime.end(this.device, () => {
      for (const chat of this.#chats) chat.deref()?.free();
      cache[Symbol.dispose]();
      this.#adapters.free();
      model.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #stream(call: string, request: AnswerRequest): AnswerStream {
    return new EventStream(this.device, (giveUp) => this.#events(call, request, giveUp));
  }

  async *#events(call: string, request: AnswerRequest, giveUp: GiveUp): AsyncGenerator<AnswerEvent, Answer, undefined> {
    expectRequest(call, request, requestChecks);
    using _work = this.#lifetime.enter(giveUp);
    using used = this.#adapters.use(call, request.adapter, giveUp);
    const options = answeringOptions(used.engine, call, request);
    return yield* answeringOne(await this.#question(used.engine, call, request), options);
  }

  async #answerAll(questions: readonly ImageQuestion[], options: AnswerOptions): Promise<Answer[]> {
    const requests = questions.map((one) => ({ ...options, ...given(one) }));
    const used = new Map<string | undefined, EngineInUse>();
    try {
      for (const { adapter } of requests) if (!used.has(adapter)) used.set(adapter, this.#adapters.use('answerAll', adapter));
      const engineOf = (adapter: string | undefined) => (used.get(adapter) as EngineInUse).engine;
      const asked = await Promise.all(requests.map((one) => this.#question(engineOf(one.adapter), 'answerAll', one)));
      // Those of one adapter beside each other, to share the products with its matrices.
      const order = [...used.keys()].flatMap((adapter) => [...asked.keys()].filter((row) => requests[row]?.adapter === adapter));
      const together = order.map((row) => asked[row] as Question);
      const answers: Answer[] = [];
      if (together.length === 0) return answers;
      for await (const { row, event } of answering(together, answeringOptions(this.#engine, 'answerAll', options))) {
        if (event.type === 'done') answers[order[row] as number] = event.answer;
      }
      return answers;
    } finally {
      for (const one of used.values()) one[Symbol.dispose]();
    }
  }

  async #encodeImage(image: ImageInput, { adapter, signal }: { adapter?: string; signal?: AbortSignal }): Promise<EncodedImage> {
    using used = this.#adapters.use('encodeImage', adapter);
    const { engine } = used;
    const picture = await pictureOf(this, image, signal);
    const ids = idsOf(engine, 'encodeImage', [{ question: '?' }], undefined);
    const prefix = leasePrefix(engine, picture, ids.slice(0, prefixLength(engine, ids)), signal);
    const masks = engine.segId === undefined ? [] : [leaseMaskSource(engine.model.sam, engine.cache, picture, signal)];
    return await EncodedImage.holding(this, picture, [prefix, ...masks]);
  }

  async *#explore(image: ImageInput, options: ExploreOptions, giveUp: GiveUp): AsyncGenerator<ExploredNode, ExploredNode, undefined> {
    expectOptions('explore', options, exploreChecks);
    expectImage('explore', image);
    using _work = this.#lifetime.enter(giveUp);
    using used = this.#adapters.use('explore', options.adapter, giveUp);
    return yield* explore(used.engine, await pictureOf(this, image, options.signal), options);
  }

  async #question(engine: Engine, call: string, { image, prompt, system, seed, signal }: AnswerRequest): Promise<Question> {
    const askedMs = performance.now();
    const ids = idsOf(engine, call, [{ question: questionText(call, prompt) }], system);
    const picture = await pictureOf(this, image, signal);
    return { engine, picture, ids, seed, askedMs, imageMs: performance.now() - askedMs };
  }
}
