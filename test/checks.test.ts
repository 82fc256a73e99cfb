import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import fc from 'fast-check';
import { closest } from '../lib/checks';

/** Wagner and Fischer's table, without the shortcuts. */
function editsBetween(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (__, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  const at = (i: number, j: number) => table[i]?.[j] as number;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      (table[i] as number[])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
  }
  return at(a.length, b.length);
}

test('closest is the name with the fewest edits, if few enough', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
  fc.assert(
    fc.property(name, fc.array(name, { maxLength: 6 }), (wanted, names) => {
      const found = closest(wanted, names);
      const least = Math.min(...names.map((one) => editsBetween(wanted, one)));
      if (least >= Math.ceil(wanted.length / 2)) assert.equal(found, undefined);
      else assert.equal(editsBetween(wanted, found as string), least);
    }),
  );
});
