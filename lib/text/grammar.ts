/**
 * Decoding that keeps to SegCap, as a state machine over ids: a phrase once opened gets a text, is closed, and is followed by one
 * [SEG], also where the limit of tokens is near; and an answer does not end without a segment when one is asked for.
 */
import { ArgumentError } from '../errors';
import type { Tokenizer } from './tokenizer';
import { phraseEnd, phraseStart, segToken } from './tokens';

export interface GrammarOptions {
  /** The answer has at least one [SEG]; default false. */
  readonly forceSegmentation?: boolean;
  /** Every [SEG] has a phrase; default false: `It is [SEG].` is allowed. */
  readonly requirePhrases?: boolean;
  /** Tokens of a phrase, after which it is closed; default 32. */
  readonly maxPhraseTokens?: number;
}

/** Where an answer stands. `opened`: in a phrase without text yet; `closed`: behind </p>; `segmented`: behind [SEG]. */
export interface GrammarState {
  readonly at: 'text' | 'opened' | 'phrase' | 'closed' | 'segmented';
  /** Of the phrase that is open. */
  readonly phraseTokens: number;
  readonly segments: number;
}

/** Which ids may come next. The same object comes for the same rule, so what is made of it, such as a mask on the device, can be kept. */
export type NextIds = { readonly allowed: readonly number[] } | { readonly forbidden: readonly number[] };

/** <p>, one token, </p> and [SEG]. */
const shortestSegment = 4;

export class SegCapGrammar {
  readonly start: GrammarState = { at: 'text', phraseTokens: 0, segments: 0 };
  private readonly size: number;
  private readonly eos: number;
  private readonly seg: number;
  private readonly open: number | undefined;
  private readonly close: number | undefined;
  private readonly strays: readonly number[];
  private readonly blanks: readonly number[];
  private readonly forced: boolean;
  private readonly phrased: boolean;
  private readonly maxPhraseTokens: number;
  private readonly rules = new Map<string, NextIds>();

  /** @throws ArgumentError when the tokenizer has no [SEG], or none of the two of a phrase though phrases are required. */
  constructor(tokenizer: Tokenizer, { forceSegmentation = false, requirePhrases = false, maxPhraseTokens = 32 }: GrammarOptions = {}) {
    const seg = tokenizer.added.get(segToken);
    if (seg === undefined) throw new ArgumentError(`SegCapGrammar: the tokenizer has no ${segToken}; the model makes no masks`);
    this.open = tokenizer.added.get(phraseStart);
    this.close = tokenizer.added.get(phraseEnd);
    if (requirePhrases && (this.open === undefined || this.close === undefined))
      throw new ArgumentError(`SegCapGrammar: requirePhrases is true, but the tokenizer has no ${phraseStart} or no ${phraseEnd}`);
    if (!(Number.isInteger(maxPhraseTokens) && maxPhraseTokens >= 1))
      throw new ArgumentError(`SegCapGrammar: maxPhraseTokens is ${maxPhraseTokens}, expected a whole number from 1`);
    this.size = tokenizer.size;
    this.eos = tokenizer.eos;
    this.seg = seg;
    this.forced = forceSegmentation;
    this.phrased = requirePhrases;
    this.maxPhraseTokens = maxPhraseTokens;
    const { strays, blanks } = textless(tokenizer);
    this.strays = strays.filter((id) => id !== this.eos && id !== this.seg && id !== this.open && id !== this.close);
    this.blanks = blanks;
  }

  /** The state after `id`. @throws ArgumentError when `id` breaks the grammar. */
  advance(state: GrammarState, id: number): GrammarState {
    const { at, segments } = state;
    const inPhrase = at === 'opened' || at === 'phrase';
    const breaks =
      at === 'closed' ? id !== this.seg : inPhrase ? id === this.open || id === this.seg || id === this.eos : id === this.close;
    if (breaks || (at === 'opened' && id === this.close))
      throw new ArgumentError(`SegCapGrammar: id ${id} may not follow in state ${at}; ask next() which ids may`);
    if (id === this.seg) return { at: 'segmented', phraseTokens: 0, segments: segments + 1 };
    if (id === this.open) return { at: 'opened', phraseTokens: 0, segments };
    if (id === this.close) return { at: 'closed', phraseTokens: 0, segments };
    if (at === 'segmented' && this.blanks.includes(id)) return state; // a [SEG] behind blanks alone is one more of the same phrase
    return inPhrase ? { at: 'phrase', phraseTokens: state.phraseTokens + 1, segments } : { at: 'text', phraseTokens: 0, segments };
  }

  /** @param remaining - How many tokens may still come, with this one; default no limit. */
  next(state: GrammarState, remaining = Number.POSITIVE_INFINITY): NextIds {
    const { at, phraseTokens } = state;
    if (at === 'closed') return this.only(this.seg);
    if (at === 'opened') return this.not('opened', this.open, this.close, this.seg, this.eos, ...this.blanks);
    if (at === 'phrase') {
      // What must still come is </p> and [SEG].
      if (phraseTokens >= this.maxPhraseTokens || remaining <= 2) return this.only(this.close);
      return this.not('phrase', this.open, this.seg, this.eos);
    }
    const room = remaining >= shortestSegment;
    const owed = this.owes(state);
    if (owed && this.open !== undefined && remaining === shortestSegment) return this.only(this.open);
    if (owed && remaining <= 1) return this.only(this.seg);
    return this.not(
      `${owed} ${room} ${at}`,
      this.close,
      owed ? this.eos : undefined,
      room ? undefined : this.open,
      this.phrased || at === 'segmented' ? this.seg : undefined,
    );
  }

  /**
   * What to choose from when the model would rather end, though a segment is asked for and has not come: the tokens that begin one.
   * `undefined` where it may end. `next` forbids the end there in any case; this tells a sampler that sees the end come first not to
   * take the next best word, but to make the segment now.
   */
  insteadOfEnd(state: GrammarState, remaining = Number.POSITIVE_INFINITY): NextIds | undefined {
    if ((state.at !== 'text' && state.at !== 'segmented') || !this.owes(state)) return undefined;
    const canOpen = this.open !== undefined && remaining >= shortestSegment;
    return canOpen ? (this.phrased ? this.only(this.open) : this.only(this.open, this.seg)) : this.only(this.seg);
  }

  /** u8 of length `vocab`, 1 for each id that may not come: what `sampleToken` takes as `bannedTokens`. */
  banned(rule: NextIds, vocab: number): Uint8Array {
    const banned = new Uint8Array(vocab).fill('allowed' in rule ? 1 : 0);
    for (const id of 'allowed' in rule ? rule.allowed : rule.forbidden) if (id < vocab) banned[id] = 'allowed' in rule ? 0 : 1;
    // A vocabulary is padded to a round number; what is behind the tokenizer's ids stands for nothing.
    return banned.fill(1, Math.min(vocab, this.size));
  }

  private owes(state: GrammarState): boolean {
    return this.forced && state.segments === 0;
  }

  private only(...ids: (number | undefined)[]): NextIds {
    return this.rule(`only ${ids}`, () => ({ allowed: present(ids) }));
  }

  private not(name: string, ...ids: (number | undefined)[]): NextIds {
    return this.rule(name, () => ({ forbidden: [...this.strays, ...present(ids)] }));
  }

  private rule(name: string, make: () => NextIds): NextIds {
    const rule = this.rules.get(name) ?? make();
    this.rules.set(name, rule);
    return rule;
  }
}

interface Textless {
  /** Ids of control and added tokens, and of nothing. */
  readonly strays: readonly number[];
  /** Ids of white space. */
  readonly blanks: readonly number[];
}

/** Of each tokenizer, for it takes a walk over all its ids. */
const known = new WeakMap<Tokenizer, Textless>();

function textless(tokenizer: Tokenizer): Textless {
  const found = known.get(tokenizer);
  if (found) return found;
  const [strays, blanks]: [number[], number[]] = [[], []];
  for (let id = 0; id < tokenizer.size; id++) {
    const piece = tokenizer.findPiece(id);
    if (piece === undefined || piece.kind === 'control' || piece.kind === 'added') strays.push(id);
    else if (piece.kind === 'byte' ? piece.byte <= 0x20 : piece.text.trim() === '') blanks.push(id);
  }
  known.set(tokenizer, { strays, blanks });
  return { strays, blanks };
}

const present = (ids: readonly (number | undefined)[]) => ids.filter((id) => id !== undefined);

export function allows(rule: NextIds, id: number): boolean {
  return 'allowed' in rule ? rule.allowed.includes(id) : !rule.forbidden.includes(id);
}
