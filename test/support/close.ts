import { strict as assert } from 'node:assert';
import type { Dtype, Tensor } from '../../lib';

/** Distance between 1 and the next number of a dtype. */
export const epsilon: Record<'f32' | 'bf16' | 'f16', number> = { f32: 2 ** -23, bf16: 2 ** -7, f16: 2 ** -10 };

export interface Tolerance {
  /** How many products each result sums, 1 for elementwise ops: f32 sums in any order err by about sqrt(terms). */
  terms: number;
  /** Size of one summand, where results cancel; default: the largest expected value. */
  scale?: number;
}

/**
 * Every value within what the dtype and the number of terms allow: 4 sqrt(terms) f32 roundings of the sum's size, plus one
 * rounding to the tensor's dtype.
 */
export async function expectClose(actual: Tensor, expected: ArrayLike<number>, { terms, scale }: Tolerance): Promise<void> {
  const values = await actual.read();
  assert.equal(values.length, expected.length, 'number of elements');
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i] as number));
  const sumError = 4 * Math.sqrt(terms) * epsilon.f32 * (scale ?? largest);
  const store = epsilon[actual.dtype as 'f32'] ?? 0;
  assertWithin(values, expected, (wanted) => sumError + store * Math.abs(wanted), actual);
}

/** |actual - expected| <= allowed(expected), NaN and infinities equal; the message names the worst element. */
export function assertWithin(
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowed: (wanted: number) => number,
  what: { shape: readonly number[]; dtype: Dtype },
  name = 'result',
): void {
  assert.equal(values.length, expected.length, `${name}: number of elements`);
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] as number;
    const got = values[i] as number;
    if (Object.is(got, wanted) || got === wanted) continue;
    const over = Math.abs(got - wanted) - allowed(wanted);
    if (!(over <= 0) && (worst < 0 || !(over <= excess))) {
      worst = i;
      excess = over;
    }
  }
  if (worst >= 0) {
    assert.fail(
      `${name} [${what.shape}] ${what.dtype}: element ${worst} is ${values[worst]}, expected ${expected[worst]} ± ${allowed(expected[worst] as number)}`,
    );
  }
}

/** The values of `formula` in float64, elementwise over the inputs as they are stored (broadcast is the caller's). */
export async function inFloat64(formula: (...values: number[]) => number, ...inputs: Tensor[]): Promise<Float64Array> {
  const arrays = await Promise.all(inputs.map((input) => input.read()));
  return Float64Array.from(arrays[0] as ArrayLike<number>, (_, i) => formula(...arrays.map((array) => array[i] as number)));
}
