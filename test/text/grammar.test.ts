import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArgumentError } from '../../lib/errors';
import { allows, type GrammarOptions, type GrammarState, SegCapGrammar } from '../../lib/text/grammar';
import { parseSegCapIds } from '../../lib/text/segcap';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { createTokenizer, type Tokenizer } from '../../lib/text/tokenizer';
import { sentencePieceModel, smallModel } from '../support/sentence_piece';
import { mglmmTokenizer } from '../support/tokenizer_golden';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await mglmmTokenizer();
});
const id = (token: string) => tokenizer.idOf(token) as number;
const [eos, seg, open, close, bbox] = [2, 32_004, 32_005, 32_006, 32_002];

/** An answer that wants `wishes`, one after another, and takes what is allowed where a wish is not. */
function answer(grammar: SegCapGrammar, wishes: readonly number[], limit: number): number[] {
  const ids: number[] = [];
  let state = grammar.start;
  for (const wish of wishes.slice(0, limit)) {
    const remaining = limit - ids.length;
    const rule = (wish === eos && grammar.insteadOfEnd(state, remaining)) || grammar.next(state, remaining);
    const taken = allows(rule, wish) ? wish : 'allowed' in rule ? (rule.allowed[0] as number) : id('▁dog');
    expect(allows(rule, taken)).toBe(true);
    ids.push(taken);
    if (taken === eos) break;
    state = grammar.advance(state, taken);
  }
  return ids;
}

const walk = (grammar: SegCapGrammar, ids: readonly number[]) =>
  ids.reduce<GrammarState>((state, one) => grammar.advance(state, one), grammar.start);

const wishes = fc.array(fc.oneof(fc.constantFrom(eos, seg, open, close, bbox, 29_871, 13, 0, 1), fc.integer({ min: 0, max: 32_006 })), {
  minLength: 40,
  maxLength: 40,
});

describe('whatever the model wants', () => {
  test('a phrase is closed and has its mask, within the limit', () =>
    fc.assert(
      fc.property(
        wishes,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 6 }),
        (all, limit, requirePhrases, maxPhraseTokens) => {
          const ids = answer(new SegCapGrammar(tokenizer, { requirePhrases, maxPhraseTokens }), all, limit);
          const { repairs } = parseSegCapIds(tokenizer, ids);
          expect(repairs.filter(({ kind }) => requirePhrases || kind !== 'bare_seg')).toEqual([]);
          for (const [at, one] of ids.entries()) if (one === close) expect(ids[at + 1]).toBe(seg);
        },
      ),
      { numRuns: 300 },
    ));

  test('a segment comes when one is asked for', () =>
    fc.assert(
      fc.property(wishes, fc.integer({ min: 4, max: 40 }), fc.boolean(), (all, limit, requirePhrases) => {
        const ids = answer(new SegCapGrammar(tokenizer, { forceSegmentation: true, requirePhrases }), all, limit);
        const { segments, repairs } = parseSegCapIds(tokenizer, ids);
        expect(segments.length).toBeGreaterThan(0);
        if (requirePhrases) expect(repairs).toEqual([]);
      }),
      { numRuns: 300 },
    ));
});

describe('rules', () => {
  const grammarOf = (options?: GrammarOptions) => new SegCapGrammar(tokenizer, options);
  const may = (options: GrammarOptions, before: readonly number[], remaining?: number) => {
    const grammar = grammarOf(options);
    const rule = grammar.next(walk(grammar, before), remaining);
    return [eos, seg, open, close].filter((one) => allows(rule, one));
  };

  test('say what may come next', () => {
    const dog = id('▁dog');
    expect(may({}, [])).toEqual([eos, seg, open]);
    expect(may({ requirePhrases: true }, [])).toEqual([eos, open]);
    expect(may({ forceSegmentation: true }, [])).toEqual([seg, open]);
    expect(may({ forceSegmentation: true }, [seg])).toEqual([eos, open]);
    expect(may({}, [open])).toEqual([]);
    expect(may({}, [open, dog])).toEqual([close]);
    expect(may({}, [open, dog, close])).toEqual([seg]);
    expect(may({}, [open, dog, close, seg])).toEqual([eos, open]);
    expect(may({}, [open, dog, close, seg, dog])).toEqual([eos, seg, open]);
  });

  test('keep a [SEG] from following another behind blanks alone', () => {
    const grammar = new SegCapGrammar(tokenizer);
    const blank = tokenizer.encode('\n').at(-1) as number;
    const behind = [seg, blank, blank].reduce((state, id) => grammar.advance(state, id), grammar.start);
    expect(allows(grammar.next(behind), seg)).toBe(false);
    expect(allows(grammar.next(behind), open)).toBe(true);
    expect(allows(grammar.next(grammar.advance(behind, tokenizer.encode('and').at(-1) as number)), seg)).toBe(true);
  });

  test('leave room before the limit', () => {
    const dog = id('▁dog');
    expect(may({}, [], 4)).toEqual([eos, seg, open]);
    expect(may({}, [], 3)).toEqual([eos, seg]);
    expect(may({ forceSegmentation: true }, [dog], 4)).toEqual([open]);
    expect(may({ forceSegmentation: true }, [dog], 1)).toEqual([seg]);
    const grammar = grammarOf({ maxPhraseTokens: 2 });
    expect(grammar.next(walk(grammar, [open, dog]), 2)).toEqual({ allowed: [close] });
    expect(grammar.next(walk(grammar, [open, dog, dog]))).toEqual({ allowed: [close] });
  });

  test('never let other tokens come, nor a blank begin a phrase', () => {
    const grammar = grammarOf();
    for (const one of [0, 1, bbox, id('<im_start>')]) expect(allows(grammar.next(grammar.start), one)).toBe(false);
    const opened = grammar.next(walk(grammar, [open]));
    for (const one of [id('▁'), id('▁▁▁▁'), id('<0x0A>')]) expect(allows(opened, one)).toBe(false);
    expect(allows(opened, id('▁dog'))).toBe(true);
  });

  test('are the same objects again', () => {
    const grammar = grammarOf({ forceSegmentation: true });
    expect(grammar.next(grammar.start)).toBe(grammar.next({ ...grammar.start }));
    expect(grammar.next(walk(grammar, [open]))).toBe(grammar.next(walk(grammar, [seg, open])));
  });

  test('are masks for a sampler, which ban what is behind the vocabulary', () => {
    const grammar = grammarOf();
    const banned = grammar.banned(grammar.next(grammar.start), 32_064);
    expect([banned[close], banned[open], banned[5], banned[32_007], banned[32_063]]).toEqual([1, 0, 0, 1, 1]);
    const only = grammar.banned({ allowed: [seg] }, 32_007);
    expect([only[seg], only[open], only[5]]).toEqual([0, 1, 1]);
  });

  test('say what to do instead of ending too early', () => {
    const forced = grammarOf({ forceSegmentation: true });
    expect(forced.insteadOfEnd(forced.start)).toEqual({ allowed: [open, seg] });
    expect(forced.insteadOfEnd(forced.start, 3)).toEqual({ allowed: [seg] });
    expect(forced.insteadOfEnd(walk(forced, [seg]))).toBe(undefined);
    expect(forced.insteadOfEnd(walk(forced, [open]))).toBe(undefined);
    const phrased = grammarOf({ forceSegmentation: true, requirePhrases: true });
    expect(phrased.insteadOfEnd(phrased.start)).toEqual({ allowed: [open] });
    const free = grammarOf();
    expect(free.insteadOfEnd(free.start)).toBe(undefined);
  });
});

describe('a tokenizer without phrases, as LISA has', () => {
  const pieces = () => new SentencePiece(sentencePieceModel({ pieces: smallModel(['▁', 'a']) }));
  const lisa = () => createTokenizer(pieces(), { added: new Map([['[SEG]', 5]]) });

  test('has segments without', () => {
    const grammar = new SegCapGrammar(lisa(), { forceSegmentation: true });
    expect(grammar.insteadOfEnd(grammar.start)).toEqual({ allowed: [5] });
    expect(grammar.next(grammar.start, 1)).toEqual({ allowed: [5] });
    expect(allows(grammar.next(grammar.start, 4), 4)).toBe(true);
  });

  test('refuses to require them', () =>
    expect(() => new SegCapGrammar(lisa(), { requirePhrases: true })).toThrow(
      new ArgumentError('SegCapGrammar: requirePhrases is true, but the tokenizer has no <p> or no </p>'),
    ));

  test('and without masks, is refused', () =>
    expect(() => new SegCapGrammar(createTokenizer(pieces()))).toThrow(
      new ArgumentError('SegCapGrammar: the tokenizer has no [SEG]; the model makes no masks'),
    ));
});

describe('bad arguments', () => {
  test('a length of phrases that is none', () =>
    expect(() => new SegCapGrammar(tokenizer, { maxPhraseTokens: 0 })).toThrow(
      new ArgumentError('SegCapGrammar: maxPhraseTokens is 0, expected a whole number from 1'),
    ));

  test('an id that breaks the grammar', () => {
    const grammar = new SegCapGrammar(tokenizer);
    expect(() => grammar.advance(grammar.start, close)).toThrow(
      new ArgumentError('SegCapGrammar: id 32006 may not follow in state text; ask next() which ids may'),
    );
    for (const [before, one] of [
      [[open], close],
      [[open], seg],
      [[open, 500], open],
      [[open, 500, close], 500],
    ] as const)
      expect(() => grammar.advance(walk(grammar, before), one)).toThrow(ArgumentError);
  });
});
