/** What callers give, looked at before any work begins. */
import { ArgumentError } from '../errors';
import { closest } from '../nn/difference';

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
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      const near = closest(name, Object.keys(checks));
      throw new ArgumentError(
        `${call}: ${name} is no option${near ? `; did you mean ${near}?` : `, expected ${Object.keys(checks).join(', ')}`}`,
      );
    }
    const expected = value === undefined ? undefined : checks[name]?.(value);
    if (expected !== undefined) throw new ArgumentError(`${call}: ${name} is ${shown(value)}, expected ${expected}`);
  }
}

/** A value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return `a ${value.constructor?.name ?? 'null-prototype object'}`;
  return typeof value === 'function' ? 'a function' : String(value);
}
