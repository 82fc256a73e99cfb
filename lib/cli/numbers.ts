/** Numbers on a command line. */
import { InvalidArgumentError } from 'commander';

interface Range {
  readonly whole?: boolean;
  readonly from?: number;
  readonly above?: number;
  readonly to?: number;
}

/** Reads a number for commander. @throws InvalidArgumentError for what is none, or out of range. */
export function number({ whole = false, from, above, to }: Range): (text: string) => number {
  const limits = [
    from === undefined ? '' : `from ${from}`,
    above === undefined ? '' : `above ${above}`,
    to === undefined ? '' : `to ${to}`,
  ];
  const expected = [whole ? 'a whole number' : 'a number', ...limits.filter(Boolean)].join(' ');
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    const fits =
      (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) && !(value < (from ?? value)) && !(value <= (above ?? -Infinity));
    if (!fits || value > (to ?? value)) throw new InvalidArgumentError(`expected ${expected}`);
    return value;
  };
}

/** `value`, where it is one that a request takes. @throws InvalidArgumentError */
export function fitting<Value>(check: (value: unknown) => string | undefined, value: Value): Value {
  const expected = check(value);
  if (expected !== undefined) throw new InvalidArgumentError(`expected ${expected}`);
  return value;
}

/** Several numbers with commas between. @throws InvalidArgumentError unless there are `count`. */
export function numbers(count: number, names: string): (text: string) => number[] {
  return (text) => {
    const values = text.split(',').map((one) => (one.trim() === '' ? Number.NaN : Number(one)));
    if (values.length !== count || !values.every(Number.isFinite))
      throw new InvalidArgumentError(`expected ${names}, numbers with commas between`);
    return values;
  };
}
