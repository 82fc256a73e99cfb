/**
 * Answers of a decoder to prompts, token by token. The forward of the next token is enqueued before the last one is read, so the
 * device does not wait for JavaScript; what turns out to follow the end of a row is given up.
 */
import { onAbort } from '../abort';
import { AbortedError } from '../errors';
import { KeyValueCache } from '../models/llama/key_value_cache';
import type { LlamaForCausalLM } from '../models/llama/model';
import { concat } from '../ops/concat';
import { copy } from '../ops/copy';
import { slice } from '../ops/slice';
import { abortable } from '../tensor/abort';
import { noGradients } from '../tensor/ambient';
import { Scope, tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { breathe } from './breathe';
import { type DecodedStep, Decoder, roomTokens } from './decoder';
import { decoderByRow } from './decoder_by_row';
import { type FinishReason, type GeneratedToken, type GenerateEvent, type GenerateOptions, type GeneratePrompt, planOf } from './options';
import { type ReadPrompt, readPrompt } from './prefill';
import { Sampler } from './sampling';

/**
 * The answers of `llama` to `prompts`, one event after another: each row's prompt once it is read, then the rows' tokens in turn.
 * A row gets the tokens it would get alone, bit for bit (up to 4 rows; more share their products in another order of sums).
 * Leaving the loop gives up the rest.
 * @throws ArgumentError for prompts and options that do not fit; AbortedError once the signal fires; errors of the ops.
 */
export async function* generate(
  llama: LlamaForCausalLM,
  prompts: readonly GeneratePrompt[],
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const plan = planOf(prompts, options, llama.model.config.context);
  using generation = new Generation(llama, prompts, options, plan);
  yield* generation.events();
}

class Generation implements Disposable {
  /** That of each row, and what they are together. */
  readonly #models: readonly LlamaForCausalLM[];
  readonly #decoder: LlamaForCausalLM;
  readonly #prompts: readonly GeneratePrompt[];
  readonly #options: GenerateOptions;
  readonly #plan: ReturnType<typeof planOf>;
  readonly #sampler: Sampler;
  /** Fires with the caller's signal, and when all is done. */
  readonly #giveUp = new AbortController();
  readonly #forgetSignal: () => void;
  readonly #held = new Set<Disposable>();
  #steps = 0;

  constructor(llama: LlamaForCausalLM, prompts: readonly GeneratePrompt[], options: GenerateOptions, plan: ReturnType<typeof planOf>) {
    this.#models = prompts.map((prompt) => prompt.llama ?? llama);
    this.#decoder = decoderByRow(this.#models);
    this.#prompts = prompts;
    this.#options = options;
    this.#plan = plan;
    this.#sampler = this.#hold(new Sampler(prompts, options));
    this.#forgetSignal = onAbort(options.signal, () => this.#giveUp.abort(options.signal?.reason));
  }

  async *events(): AsyncGenerator<GenerateEvent, void, undefined> {
    try {
      yield* this.#events();
    } catch (error) {
      const { signal } = this.#options;
      if (!(signal?.aborted && error instanceof AbortedError)) throw error;
      throw new AbortedError(`generate: aborted after ${this.#steps} tokens`, { cause: signal.reason });
    }
  }

  async *#events(): AsyncGenerator<GenerateEvent, void, undefined> {
    const { limits } = this.#plan;
    const read: ReadPrompt[] = [];
    const cache = await this.#readPrompts(read);
    const stops = this.#prompts.map(() => this.#options.stop?.());
    const active = this.#prompts.map(() => true);
    const begun = [...cache.lengths];
    const most = begun.map((length, row) => length + (limits[row] as number));
    const decoder = this.#hold(new Decoder(this.#decoder, cache, most));
    const longest = Math.max(...limits);

    let step = this.#firstStep(read);
    let chosen: Chosen | undefined = this.#choose(step, 0);
    for (let index = 0; chosen; index++) {
      chosen = await this.#revised(chosen, step, index);
      let next: DecodedStep | undefined;
      if (index + 1 < longest) {
        const offsets = begun.map((length, row) => (active[row] ? length + index : (cache.lengths[row] as number)));
        await breathe(decoder.prepare(offsets, active), () => this.#check());
        const { ids }: Chosen = chosen;
        next = this.#enqueue(() => decoder.run(ids, offsets, active));
      }
      const values = await chosen.values;
      this.#check();
      this.#steps++;
      if (index === 0) yield* this.#promptEvents(read);
      const events: GeneratedToken[] = [];
      for (const [row, isActive] of active.entries()) {
        if (!isActive) continue;
        const id = values[row] as number;
        cache.lengths[row] = (begun[row] as number) + index;
        this.#sampler.accept(row, id);
        const finish = this.#finishOf(row, id, index, stops[row]);
        if (finish) {
          active[row] = false;
          this.#sampler.finish(row);
        }
        events.push({ type: 'token', row, index, id, ...this.#kept(chosen, row, id), finish });
      }
      this.#release(chosen);
      chosen = next && active.includes(true) ? this.#choose(next, index + 1) : undefined;
      step = next ?? step;
      if (!chosen) this.#giveUp.abort();
      yield* events;
    }
  }

  /** Reads the prompts one after another, as each would be read alone, and makes them rows of one cache. */
  async #readPrompts(read: ReadPrompt[]): Promise<KeyValueCache> {
    const check = () => this.#check();
    const alone = this.#prompts.length === 1;
    const lengths = this.#prompts.map(({ embeddings, cache }) => (cache?.lengths[0] ?? 0) + (embeddings.shape[1] as number));
    const rooms = lengths.map((length, row) => length + Math.min(this.#plan.limits[row] as number, roomTokens));
    const caches: KeyValueCache[] = [];
    const beginnings = new Set(this.#prompts.map(({ cache }) => cache));
    const alike = !alone && beginnings.size === 1 && !beginnings.has(undefined);
    for (const cache of beginnings) {
      const sharers = [...this.#prompts.keys()].filter((row) => this.#prompts[row]?.cache === cache);
      if (!cache || sharers.length < 2) continue;
      const capacities = sharers.map((row) => (alike ? rooms : lengths)[row] as number);
      const shared = await breathe(cache.sharing(0, cache.lengths[0] as number, capacities), check);
      for (const [i, row] of sharers.entries()) caches[row] = this.#hold(shared[i] as KeyValueCache);
    }
    for (const [row, { embeddings, cache: given, capture = [] }] of this.#prompts.entries()) {
      const { model } = this.#models[row] as LlamaForCausalLM;
      const before = given?.lengths[0] ?? 0;
      const room = (alone ? rooms : lengths)[row] as number;
      const own = async () => this.#hold(given ? await breathe(given.copying(0, before, room), check) : model.cache({ capacity: room }));
      caches[row] ??= given && alone ? given : await own();
      const cache = caches[row];
      await breathe(cache.reserving(room), check);
      const { prefillTokens: pieceTokens } = this.#plan;
      const reading = readPrompt(model, embeddings, cache, { capture, pieceTokens, enqueue: (body) => this.#enqueue(body) });
      try {
        const { last, captured } = await breathe(reading, check);
        read.push({ last: this.#hold(last), captured: captured && this.#hold(captured) });
      } catch (error) {
        cache.truncate(0, before); // what lies behind is of no use
        throw error;
      }
    }
    if (alone) return caches[0] as KeyValueCache;
    const together = caches as [KeyValueCache, ...KeyValueCache[]];
    const batch = this.#hold(alike ? KeyValueCache.join(together) : await breathe(KeyValueCache.merging(caches, rooms), check));
    for (const cache of caches) this.#drop(cache);
    return batch;
  }

  #firstStep(read: readonly ReadPrompt[]): DecodedStep {
    const states = this.#enqueue(() =>
      Scope.disown(
        concat(
          read.map(({ last }) => last),
          0,
        ),
      ),
    );
    const logits = this.#enqueue(() => Scope.disown(tidy(() => this.#decoder.logits(states))));
    for (const { last } of read) this.#drop(last);
    return { states: this.#hold(states), logits: this.#hold(logits) };
  }

  /** Chooses the tokens that follow; keeps of the step what is asked for, as the next one writes over it. */
  #choose({ states, logits }: DecodedStep, index: number, before?: Int32Array): Chosen {
    const kept = (from: Tensor, wanted: boolean) => (wanted ? this.#hold(Scope.disown(copy(from))) : undefined);
    return this.#enqueue(() => {
      const ids = this.#hold(Scope.disown(tidy(() => this.#sampler.pick(logits, index, before))));
      // Before the ids are read, so that they are there when the ids are, whatever is given up then.
      const [keptStates, keptLogits] = [kept(states, this.#plan.captureIds.size > 0), kept(logits, this.#options.logits === true)];
      const values = ids.read() as Promise<Int32Array>;
      values.catch(() => undefined); // it is awaited later, or given up
      return { ids, values, states: keptStates, logits: keptLogits };
    });
  }

  /** A choice that its row's constraint has no objection to. */
  async #revised(chosen: Chosen, step: DecodedStep, index: number): Promise<Chosen> {
    if (!this.#sampler.mayRevise) return chosen;
    const values = await chosen.values;
    this.#check();
    if (!this.#sampler.revises(values)) return chosen;
    this.#release(chosen);
    return this.#choose(step, index, values);
  }

  /** What of a choice goes out with the token of a row. */
  #kept({ states, logits }: Chosen, row: number, id: number): Pick<GeneratedToken, 'state' | 'logits'> {
    const part = (from: Tensor) => Scope.disown(noGradients(() => slice(from, 0, row, row + 1)));
    return {
      ...(states && this.#plan.captureIds.has(id) ? { state: part(states) } : {}),
      ...(logits ? { logits: part(logits) } : {}),
    };
  }

  *#promptEvents(read: readonly ReadPrompt[]): Generator<GenerateEvent, void> {
    for (const [row, { captured }] of read.entries()) {
      if (captured) this.#held.delete(captured);
      const tokens = this.#prompts[row]?.embeddings.shape[1] as number;
      yield { type: 'prompt', row, tokens, ...(captured ? { states: captured } : {}) };
    }
  }

  #finishOf(row: number, id: number, index: number, stop: ((id: number) => boolean) | undefined): FinishReason | undefined {
    if (this.#plan.eos.has(id)) return 'eos';
    if (stop?.(id)) return 'stop';
    return index + 1 >= (this.#plan.limits[row] as number) ? 'length' : undefined;
  }

  #release(chosen: Chosen): void {
    for (const part of [chosen.ids, chosen.states, chosen.logits]) if (part) this.#drop(part);
  }

  #check(): void {
    if (this.#options.signal?.aborted) throw new AbortedError('generate: aborted');
  }

  #enqueue<Result>(body: () => Result): Result {
    return abortable(this.#giveUp.signal, () => noGradients(body));
  }

  #hold<Held extends Disposable>(held: Held): Held {
    this.#held.add(held);
    return held;
  }

  #drop(held: Disposable): void {
    this.#held.delete(held);
    held[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#forgetSignal();
    this.#giveUp.abort();
    for (const held of this.#held) held[Symbol.dispose]();
  }
}

/** The tokens of all rows, chosen on the device, on their way to JavaScript. */
interface Chosen {
  /** `[batch]` i32. */
  readonly ids: Tensor;
  readonly values: Promise<Int32Array>;
  /** Those the ids were chosen from, when they are wanted: `[batch, dim]`, `[batch, vocab]`. */
  readonly states?: Tensor;
  readonly logits?: Tensor;
}
