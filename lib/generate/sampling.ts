/** The next token of each row, from its logits: under the row's own penalty, constraint and random numbers. */
import { ArgumentError } from '../errors';
import { argmax } from '../ops/argmax';
import { concat } from '../ops/concat';
import { rowsView } from '../ops/rows_view';
import { sampleToken } from '../ops/sample_token';
import { tensor } from '../tensor/create';
import { Scope } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import type { GeneratePrompt, SamplingOptions, TokenConstraint, TokenSet } from './options';

/** Chooses for all rows of a batch. */
export class Sampler implements Disposable {
  readonly #rows: readonly RowSampler[];
  readonly #greedy: boolean;
  readonly #bans = new Bans();

  constructor(prompts: readonly GeneratePrompt[], options: SamplingOptions) {
    this.#rows = prompts.map((prompt) => new RowSampler(prompt, options, this.#bans));
    this.#greedy = this.#rows.every(({ greedy }) => greedy);
  }

  /**
   * `[batch, vocab]` logits to `[batch]` i32 ids; only enqueues.
   * @param index - counts the tokens of the answer from 0.
   * @param before - what was picked of the same logits; rows that do not revise it keep it.
   */
  pick(logits: Tensor, index: number, before?: Int32Array): Tensor {
    if (this.#greedy) return argmax(logits);
    const ids = this.#rows.map((row, i) => row.pick(rowsView(logits, i, i + 1), index, before?.[i]));
    return ids.length === 1 ? (ids[0] as Tensor) : concat(ids, 0);
  }

  /** Whether what was picked last may have to be picked again. */
  get mayRevise(): boolean {
    return this.#rows.some(({ instead }) => instead);
  }

  /** Whether it has to, being `values`. */
  revises(values: Int32Array): boolean {
    return this.#rows.some(({ instead }, i) => instead?.of === values[i]);
  }

  /** Tells a row what came. */
  accept(row: number, id: number): void {
    this.#rows[row]?.accept(id);
  }

  /** A row that is done is under no constraint any more. */
  finish(row: number): void {
    this.#rows[row]?.finish();
  }

  [Symbol.dispose](): void {
    this.#bans.dispose();
  }
}

class RowSampler {
  readonly #options: SamplingOptions;
  readonly #previous: Set<number> | undefined;
  readonly #seed: number;
  readonly #bans: Bans;
  #constraint: TokenConstraint | undefined;
  /** Of the set that was picked from last. */
  instead: TokenSet['instead'];

  constructor({ previousIds = [], seed = 0, constraint }: GeneratePrompt, options: SamplingOptions, bans: Bans) {
    const { temperature = 0, topK, topP, repetitionPenalty } = options;
    this.#options = { temperature, topK, topP, repetitionPenalty };
    if ((repetitionPenalty ?? 1) !== 1) this.#previous = new Set(previousIds);
    this.#seed = seed;
    this.#constraint = constraint;
    this.#bans = bans;
  }

  /** The likeliest token always, whatever came before. */
  get greedy(): boolean {
    return this.#options.temperature === 0 && !this.#previous && !this.#constraint;
  }

  /** `[1, vocab]` to `[1]`. */
  pick(logits: Tensor, index: number, before?: number): Tensor {
    if (this.greedy) return argmax(logits);
    if (before !== undefined && this.instead?.of !== before) return tensor([before], [1], 'i32');
    const previous = this.#previous && this.#previous.size > 0 ? tensor([...this.#previous], [1, this.#previous.size], 'i32') : undefined;
    const set = before === undefined ? this.#constraint?.next() : this.instead?.among;
    this.instead = set?.instead;
    const bannedTokens = set && this.#bans.of(set, logits.shape[1] as number);
    return sampleToken(logits, { ...this.#options, previous, bannedTokens, seed: this.#seed, offset: index });
  }

  accept(id: number): void {
    this.#previous?.add(id);
    this.#constraint?.accept(id);
  }

  finish(): void {
    this.#constraint = undefined;
    this.instead = undefined;
  }
}

/** As many sets as a grammar has states; 32 KiB each at LLaMA's vocabulary. */
const keptSets = 64;

/** Sets of tokens as `[vocab]` u8, 1 for what must not come; each set object is made into a tensor once. */
class Bans {
  readonly #made = new Map<TokenSet, Tensor>();

  of(set: TokenSet, vocab: number): Tensor {
    const made = this.#made.get(set);
    if (made) return made;
    const allowing = 'allowed' in set;
    const banned = new Uint8Array(vocab).fill(allowing ? 1 : 0);
    for (const id of allowing ? set.allowed : set.forbidden) {
      if (!(Number.isInteger(id) && id >= 0 && id < vocab)) {
        throw new ArgumentError(`generate: a constraint names token ${String(id)}, expected 0 to ${vocab - 1}`);
      }
      banned[id] = allowing ? 0 : 1;
    }
    const result = Scope.disown(tensor(banned));
    const [oldest] = this.#made;
    if (oldest && this.#made.size >= keptSets) {
      this.#made.delete(oldest[0]);
      oldest[1].dispose();
    }
    this.#made.set(set, result);
    return result;
  }

  dispose(): void {
    for (const banned of this.#made.values()) banned.dispose();
    this.#made.clear();
  }
}
