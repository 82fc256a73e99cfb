/**
 * The forward of one new token in each row, as a program: recorded once, so that a step costs JavaScript a few calls however
 * many layers there are. It reads the ids where the choice of the step before has put them, so the next forward can begin before
 * JavaScript has seen them.
 */
import type { KeyValueCache } from '../models/llama/key_value_cache';
import { type CachedLayer, pageTokens } from '../models/llama/key_value_pool';
import type { LlamaForCausalLM } from '../models/llama/model';
import { copyInto } from '../ops/copy_into';
import { reshape } from '../ops/reshape';
import { noGradients } from '../tensor/ambient';
import { empty, tensor } from '../tensor/create';
import { Program } from '../tensor/program';
import { Scope, tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

/** Room is made for as many tokens ahead at least. */
export const roomTokens = 128;

export interface DecodedStep {
  /** `[batch, dim]`, normed. */
  readonly states: Tensor;
  /** `[batch, vocab]`. */
  readonly logits: Tensor;
}

interface Recorded {
  readonly program: Program;
  /** Of the cache: the memory that it reads. */
  readonly layers: readonly CachedLayer[];
  readonly step: DecodedStep;
}

export class Decoder implements Disposable {
  readonly #llama: LlamaForCausalLM;
  readonly #cache: KeyValueCache;
  /** Tokens a row will ever hold. */
  readonly #most: readonly number[];
  /** `[batch, 1]` i32, `[batch]` i32, `[batch]` i32. */
  readonly #ids: Tensor;
  readonly #offsets: Tensor;
  readonly #lengths: Tensor;
  /** `[batch, width]` i32, as wide as it will ever be, so that what is recorded holds while rows take pages. */
  readonly #pageTable: Tensor;
  #isTableOld = true;
  #recorded?: Recorded;

  /** @param most - tokens each row will ever hold. */
  constructor(llama: LlamaForCausalLM, cache: KeyValueCache, most: readonly number[]) {
    this.#llama = llama;
    this.#cache = cache;
    this.#most = most;
    const held = (shape: readonly number[]) => Scope.disown(empty(shape, 'i32'));
    [this.#ids, this.#offsets, this.#lengths] = [held([cache.batch, 1]), held([cache.batch]), held([cache.batch])];
    this.#pageTable = held([cache.batch, Math.ceil(Math.max(...most) / pageTokens)]);
  }

  /** Makes room for the next token of the rows that are active and records the forward, unless both are there; one layer a step. */
  *prepare(offsets: readonly number[], active: readonly boolean[]): Generator<void, void> {
    const needed = offsets.map((offset, row) => offset + Number(active[row]));
    if (!this.#cache.hasRoom(needed)) {
      const ahead = needed.map((tokens, row) => Math.min(this.#most[row] as number, tokens + Math.max(roomTokens, tokens >> 2)));
      yield* this.#cache.reserving(ahead.map((tokens, row) => (active[row] ? tokens : 0)));
      this.#isTableOld = true;
    }
    const cached = this.#cache.layers;
    if (this.#recorded?.layers === cached) return;
    this.#forget();
    const program = new Program();
    const record = <Result>(body: () => Result) => noGradients(() => program.record(() => tidy(body)));
    const { model } = this.#llama;
    const lengths = this.#cache.batch === 1 ? undefined : this.#lengths;
    const temporary: Tensor[] = [];
    const hold = (made: Tensor) => {
      temporary.push(Scope.disown(made));
      return made;
    };
    let isWhole = false;
    try {
      const x = hold(record(() => model.embedTokens.forward(this.#ids)));
      const places = { offsets: this.#offsets, pageTable: this.#pageTable, lengths };
      const layers = model.layerByLayer(x, places, this.#cache);
      let layer = record(() => layers.next());
      try {
        while (!layer.done) {
          yield;
          layer = record(() => layers.next());
        }
      } finally {
        layers.return(undefined as never);
      }
      const last = hold(layer.value);
      const step = record(() => {
        const states = reshape(model.norm.forward(last), [this.#cache.batch, last.shape[2] as number]);
        return { states, logits: this.#llama.logits(states) };
      });
      Scope.disown(step.states);
      Scope.disown(step.logits);
      this.#recorded = { program, layers: cached, step };
      isWhole = true;
    } finally {
      for (const made of temporary) made.dispose();
      if (!isWhole) program.dispose();
    }
  }

  /**
   * Enqueues the forward of `ids` [batch] i32, which follow `offsets` cached tokens; rows that are done are left out.
   * @returns tensors that the next run writes anew.
   */
  run(ids: Tensor, offsets: readonly number[], active: readonly boolean[]): DecodedStep {
    const { batch } = this.#cache;
    const { program, step } = this.#recorded as Recorded;
    tidy(() => {
      copyInto(reshape(ids, [batch, 1]), this.#ids);
      copyInto(tensor(offsets, [batch], 'i32'), this.#offsets);
      if (batch > 1) copyInto(tensor(active.map(Number), [batch], 'i32'), this.#lengths);
      if (this.#isTableOld) copyInto(this.#cache.pageTable(this.#pageTable.shape[1]), this.#pageTable);
    });
    this.#isTableOld = false;
    program.run();
    return step;
  }

  [Symbol.dispose](): void {
    this.#forget();
    for (const held of [this.#ids, this.#offsets, this.#lengths, this.#pageTable]) held.dispose();
  }

  #forget(): void {
    if (!this.#recorded) return;
    const { program, step } = this.#recorded;
    program.dispose();
    step.states.dispose();
    step.logits.dispose();
    this.#recorded = undefined;
  }
}
