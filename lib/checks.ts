/** What callers give, looked at before any work begins. */
import { ArgumentError } from './errors';

/** What is expected, when `value` is not that. */
export type Check = (value: unknown) => string | undefined;

const check =
  (expected: string, holds: (value: unknown) => boolean): Check =>
  (value) =>
    holds(value) ? undefined : expected;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

export const integerFrom = (least: number): Check =>
  check(`a whole number from ${least}`, (value) => Number.isSafeInteger(value) && (value as number) >= least);
export const numberAbove = (least: number, most = Number.POSITIVE_INFINITY): Check =>
  check(
    `a number above ${least}${most < Number.POSITIVE_INFINITY ? `, at most ${most}` : ''}`,
    (v) => isNumber(v) && v > least && v <= most,
  );
export const oneOf = (...values: readonly string[]): Check =>
  check(`one of ${values.join(', ')}`, (value) => values.includes(value as string));
export const isBoolean = check('true or false', (value) => typeof value === 'boolean');
export const isString = check('a string', (value) => typeof value === 'string');
export const isFunction = check('a function', (value) => typeof value === 'function');
export const isSignal = check('an AbortSignal', (value) => typeof (value as Partial<AbortSignal>)?.addEventListener === 'function');
export const isLogger = check('an object with the functions info and warn, such as console', (value) => {
  const { info, warn } = (value ?? {}) as Partial<Record<'info' | 'warn', unknown>>;
  return typeof info === 'function' && typeof warn === 'function';
});
export const isAnything: Check = () => undefined;

/**
 * Throws unless `options` is an object of options that are known and fit; those that are undefined count as not given.
 * @param call - which was called, for the message.
 * @throws ArgumentError
 */
export function expectOptions(call: string, options: unknown, checks: Readonly<Record<string, Check>>): void {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`${call}: it was given ${shown(options)}, expected an object with ${Object.keys(checks).join(', ')}`);
  }
  expectKnown(call, options, Object.keys(checks));
  for (const [name, value] of Object.entries(options)) {
    const expected = value === undefined ? undefined : checks[name]?.(value);
    if (expected !== undefined) throw new ArgumentError(`${call}: ${name} is ${shown(value)}, expected ${expected}`);
  }
}

/** What of `options` is given: to be laid over defaults, which nothing that is undefined takes the place of. */
export const given = <Options extends object>(options: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;

/** Throws when `options` has one that is not of `known`. @throws ArgumentError */
export function expectKnown(call: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = closest(name, known);
    throw new ArgumentError(`${call}: ${name} is no option${near ? `; did you mean ${near}?` : `, expected ${known.join(', ')}`}`);
  }
}

/** A value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return `a ${value.constructor?.name ?? 'null-prototype object'}`;
  return typeof value === 'function' ? 'a function' : String(value);
}

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
