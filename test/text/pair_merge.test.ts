import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PairMerger } from '../../lib/text/pair_merge';

/** The definition, without a heap: again and again the best of all neighbours. */
function mergedByDefinition(text: string, ids: ReadonlyMap<string, number>, scores: Float32Array): string[] {
  const symbols = [...text];
  for (;;) {
    let best = -1;
    for (let at = 0; at + 1 < symbols.length; at++) {
      const id = ids.get(`${symbols[at]}${symbols[at + 1]}`);
      if (id === undefined) continue;
      const rival = best < 0 ? undefined : ids.get(`${symbols[best]}${symbols[best + 1]}`);
      if (rival === undefined || (scores[id] as number) > (scores[rival] as number)) best = at;
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, `${symbols[best]}${symbols[best + 1]}`);
  }
}

const letters = fc.constantFrom('a', 'b', 'c', '▁', '😀');
const words = (length: number) => fc.array(letters, { minLength: 1, maxLength: length }).map((all) => all.join(''));

test('merges as the definition says, whatever the pieces and their scores', () => {
  const pieces = fc.uniqueArray(fc.tuple(words(4), fc.integer({ min: -5, max: 0 })), { selector: ([piece]) => piece, maxLength: 40 });
  fc.assert(
    fc.property(pieces, words(40), (scored, text) => {
      const ids = new Map(scored.map(([piece], id) => [piece, id]));
      const scores = Float32Array.from(scored, ([, score]) => score);
      const longest = Math.max(1, ...scored.map(([piece]) => piece.length));
      const found: string[] = [];
      new PairMerger(ids, scores, longest).merge(text, (begin, end, id) => {
        const symbol = text.slice(begin, end);
        found.push(symbol);
        expect(id).toBe(ids.get(symbol) ?? -1);
      });
      expect(found).toEqual(mergedByDefinition(text, ids, scores));
    }),
    { numRuns: 500 },
  );
});

test('serves one text after another, of any length', () => {
  const merger = new PairMerger(new Map([['aa', 0]]), Float32Array.of(0), 2);
  for (const length of [3, 10_000, 0, 5, 100_001, 64]) {
    let count = 0;
    merger.merge('a'.repeat(length), () => count++);
    expect(count).toBe(Math.ceil(length / 2));
  }
});
