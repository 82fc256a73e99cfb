/** One question of those that are answered together: its text, its masks, its figures. */
import type { FinishReason, GeneratedToken, GeneratePrompt } from '../generate/options';
import type { Mask } from '../masks/mask';
import type { SegCap, Segment } from '../text/segcap';
import type { Answer, AnswerEvent, GroundedPhrase, Timings } from './answer';
import { AnswerText } from './answer_text';
import type { ReadyPrompt } from './conversation';
import { type Engine, tokensOf } from './engine';
import { GrammarConstraint, type GrammarRules } from './grammar_constraint';
import { MaskQueue } from './mask_queue';
import type { Picture } from './picture';

export interface Question {
  /** What answers it. */
  readonly engine: Engine;
  readonly picture: Picture;
  /** Of the whole prompt, with one image token. */
  readonly ids: readonly number[];
  readonly seed?: number;
  /** When it was asked, by `performance.now`, and how long the picture took. */
  readonly askedMs: number;
  readonly imageMs: number;
}

export interface RowOptions {
  readonly stops: readonly string[];
  readonly maxNewTokens: number;
  /** Of the form that the answer keeps to. */
  readonly rules?: GrammarRules;
  readonly signal?: AbortSignal;
}

export class Row implements Disposable {
  readonly prompt: GeneratePrompt;
  readonly ids: number[] = [];
  readonly #question: Question;
  readonly #ready: ReadyPrompt;
  readonly #text: AnswerText;
  readonly #queue: MaskQueue;
  readonly #promptTokens: number;
  readonly #makesMasks: boolean;
  /** Masks whose phrases were told, and how many of them were told themselves. */
  readonly #named: Segment[] = [];
  readonly #segments: GroundedPhrase[] = [];
  #firstTokenMs = 0;
  #lastTokenMs = 0;
  #end?: { readonly finish: FinishReason; readonly result: SegCap };
  #isDone = false;

  constructor(question: Question, ready: ReadyPrompt, { stops, maxNewTokens, rules, signal }: RowOptions) {
    const { engine, ids, seed, picture } = question;
    this.#question = question;
    this.#ready = ready;
    this.#text = new AnswerText(engine.tokenizer, stops);
    this.#queue = new MaskQueue(engine, picture, signal);
    this.#promptTokens = tokensOf(engine, ids);
    this.#makesMasks = engine.segId !== undefined;
    const limit = Math.min(maxNewTokens, engine.model.config.llama.context - this.#promptTokens + 1);
    const constraint = rules && new GrammarConstraint(rules, limit);
    this.prompt = { ...ready.prompt, llama: engine.model, seed, previousIds: ids.filter((id) => id >= 0), constraint };
  }

  /** Whether `id` is the last token, because of a stop string. */
  stop(id: number): boolean {
    return this.#text.push(id);
  }

  /** What a token gives at once. `stop` has seen it, unless the model ended with it. */
  take({ id, state, finish }: GeneratedToken): AnswerEvent[] {
    this.#lastTokenMs = performance.now();
    if (this.ids.length === 0) {
      this.#firstTokenMs = this.#lastTokenMs;
      this.#ready[Symbol.dispose](); // it is read
    }
    this.ids.push(id);
    if (state) this.#queue.push(state);
    if (finish) this.#end = { finish, result: this.#text.end() };
    const { text, inPhrase, phrases, segments } = this.#text.take();
    if (this.#makesMasks) this.#named.push(...segments);
    return [{ type: 'token', id, text, inPhrase }, ...phrases.map(({ phrase, span }) => ({ type: 'phrase', phrase, span }) as const)];
  }

  /** What comes next without another token: undefined, when that is nothing. */
  waiting(): Promise<AnswerEvent> | undefined {
    const index = this.#segments.length;
    const segment = this.#named[index];
    if (segment) return this.#queue.at(index)?.then((mask) => ({ type: 'mask', index, segment: grounded(segment, mask) }));
    return this.#end && !this.#isDone ? Promise.resolve({ type: 'done', answer: this.#answer(this.#end) }) : undefined;
  }

  /** The event of {@link waiting} is told. */
  told(event: AnswerEvent): void {
    if (event.type === 'mask') this.#segments.push(event.segment);
    if (event.type === 'done') this.#isDone = true;
  }

  [Symbol.dispose](): void {
    this.#ready[Symbol.dispose]();
    this.#queue[Symbol.dispose]();
  }

  #answer({ finish, result }: { finish: FinishReason; result: SegCap }): Answer {
    const segments = this.#segments.map((one, i) => ({ ...one, span: result.segments[i]?.span ?? one.span }));
    const usage = {
      promptTokens: this.#promptTokens,
      cachedTokens: this.#ready.cachedTokens,
      newTokens: this.ids.length,
      masks: segments.length,
    };
    return { text: result.text, segments, usage, timings: this.#timings(), finish, repairs: result.repairs, ids: this.ids };
  }

  #timings(): Timings {
    const { askedMs, imageMs } = this.#question;
    const { featuresCached: features, prefixCached: prefix } = this.#ready;
    const tokensMs = this.#lastTokenMs - this.#firstTokenMs;
    return {
      imageMs,
      firstTokenMs: this.#firstTokenMs - askedMs,
      tokensMs,
      totalMs: performance.now() - askedMs,
      tokensPerSecond: tokensMs > 0 ? ((this.ids.length - 1) * 1000) / tokensMs : 0,
      cached: { features, prefix, embedding: this.#queue.cached },
    };
  }
}

function grounded({ phrase, span }: Segment, mask: Mask): GroundedPhrase {
  return { phrase, span, mask, box: mask.box, score: mask.score ?? 0 };
}
