import type { TokenConstraint, TokenSet } from '../generate/options';
import { type GrammarState, type NextIds, SegCapGrammar } from '../text/grammar';
import type { Tokenizer } from '../text/tokenizer';

/** By tokenizer, with and without a mask that is owed: a grammar looks at the whole vocabulary once. */
const made = new WeakMap<Tokenizer, Map<boolean, GrammarRules>>();

export function grammarRules(tokenizer: Tokenizer, forceSegmentation = false): GrammarRules {
  const known = made.get(tokenizer) ?? new Map<boolean, GrammarRules>();
  made.set(tokenizer, known);
  const rules = known.get(forceSegmentation) ?? new GrammarRules(new SegCapGrammar(tokenizer, { forceSegmentation }), tokenizer.eos);
  known.set(forceSegmentation, rules);
  return rules;
}

/** A grammar, and what to do where it forbids the end. */
export class GrammarRules {
  readonly grammar: SegCapGrammar;
  readonly #eos: number;
  /** Of a rule that forbids the end and says what to do in its place. */
  readonly #ends = new Map<NextIds, TokenSet>();

  constructor(grammar: SegCapGrammar, eos: number) {
    this.grammar = grammar;
    this.#eos = eos;
  }

  /** What may come next; where a mask is owed and the model would rather end, it makes the mask now. */
  next(state: GrammarState, remaining: number): TokenSet {
    const rule = this.grammar.next(state, remaining);
    const among = 'forbidden' in rule ? this.grammar.insteadOfEnd(state, remaining) : undefined;
    if (!among || !('forbidden' in rule)) return rule;
    const known = this.#ends.get(rule);
    if (known?.instead?.among === among) return known;
    const set = { forbidden: rule.forbidden.filter((id) => id !== this.#eos), instead: { of: this.#eos, among } };
    this.#ends.set(rule, set);
    return set;
  }
}

/** Keeps a row of `generate` to the form of phrases and masks. */
export class GrammarConstraint implements TokenConstraint {
  readonly #rules: GrammarRules;
  #state: GrammarState;
  #remaining: number;

  /** @param limit - tokens that may come. */
  constructor(rules: GrammarRules, limit: number) {
    this.#rules = rules;
    this.#state = rules.grammar.start;
    this.#remaining = limit;
  }

  next(): TokenSet {
    return this.#rules.next(this.#state, this.#remaining);
  }

  accept(id: number): void {
    this.#state = this.#rules.grammar.advance(this.#state, id);
    this.#remaining--;
  }
}
