import type { TokenConstraint, TokenSet } from '../generate/options';
import type { GrammarState, SegCapGrammar } from '../text/grammar';

/** Keeps a row of `generate` to the form of phrases and masks. */
export class GrammarConstraint implements TokenConstraint {
  readonly #grammar: SegCapGrammar;
  #state: GrammarState;
  #remaining: number;

  /** @param limit - tokens that may come. */
  constructor(grammar: SegCapGrammar, limit: number) {
    this.#grammar = grammar;
    this.#state = grammar.start;
    this.#remaining = limit;
  }

  next(): TokenSet {
    return this.#grammar.next(this.#state, this.#remaining);
  }

  accept(id: number): void {
    this.#state = this.#grammar.advance(this.#state, id);
    this.#remaining--;
  }
}
