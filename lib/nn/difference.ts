/** What a module wants and what it is given, compared by key and shape; a readable account of what does not fit. */
import { closest } from '../checks';
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
