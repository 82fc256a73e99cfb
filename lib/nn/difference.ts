/** What a module wants and what it is given, compared by key and shape; a readable account of what does not fit. */
import { CheckpointError } from '../errors';

/** Shapes by key. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

export interface Difference {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  /** Sentences: key, shape, expected shape. */
  readonly misshapen: readonly string[];
}

/** Lines of each kind that a message has room for. */
const MOST_LINES = 12;

export function compareShapes(wanted: Shapes, given: Shapes): Difference {
  const misshapen: string[] = [];
  for (const [key, shape] of wanted) {
    const got = given.get(key);
    if (got && !equal(got, shape)) {
      const swapped = shape.length === 2 && equal([...got].reverse(), shape) ? ': it is transposed' : '';
      misshapen.push(`${key} is [${got.join(', ')}], expected [${shape.join(', ')}]${swapped}`);
    }
  }
  return {
    missing: [...wanted.keys()].filter((key) => !given.has(key)),
    unexpected: [...given.keys()].filter((key) => !wanted.has(key)),
    misshapen,
  };
}

/** The error that tells `difference`; a missing key comes with the unexpected one that is spelled most like it. */
export function differenceError(what: string, difference: Difference): CheckpointError {
  const { missing, unexpected, misshapen } = difference;
  const shown = missing.slice(0, MOST_LINES).map((key) => {
    const close = closest(key, unexpected);
    return close === undefined ? key : `${key}, but there is ${close}`;
  });
  const lines = [...list('missing', shown, missing), ...list('unexpected', unexpected), ...list('misshapen', misshapen)];
  return new CheckpointError(`${what}:\n${lines.join('\n')}`, difference);
}

function list(kind: string, shown: readonly string[], all = shown): string[] {
  const lines = shown.slice(0, MOST_LINES).map((line) => `  ${kind}: ${line}`);
  return all.length > lines.length ? [...lines, `  ${kind}: ${all.length - lines.length} more`] : lines;
}

const equal = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((size, i) => size === b[i]);

/** The name among `names` with the least edits to `name`, if less than half of it would change. */
export function closest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.ceil(name.length / 2);
  for (const other of names) {
    const edits = editDistance(name, other, least);
    if (edits < least) [best, least] = [other, edits];
  }
  return best;
}

/** Insertions, deletions and replacements from `a` to `b`; `limit` where there are as many or more. Levenshtein 1966. */
function editDistance(a: string, b: string, limit: number): number {
  let [start, endA, endB] = [0, a.length, b.length];
  while (start < endA && start < endB && a[start] === b[start]) start++;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) [endA, endB] = [endA - 1, endB - 1];
  if (Math.abs(endA - endB) >= limit) return limit;
  let row = Array.from({ length: endB - start + 1 }, (_, j) => j);
  for (let i = start; i < endA; i++) {
    const next = [(row[0] as number) + 1];
    for (let j = start; j < endB; j++) {
      const [above, left, corner] = [row[j - start + 1] as number, next[j - start] as number, row[j - start] as number];
      next.push(Math.min(above + 1, left + 1, corner + (a[i] === b[j] ? 0 : 1)));
    }
    if (Math.min(...next) >= limit) return limit;
    row = next;
  }
  return Math.min(limit, row.at(-1) as number);
}
