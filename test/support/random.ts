/** Random words and numbers by place as kernels/philox.h describes them, each operation rounded to f32 by itself. */
import { philox } from './philox';

/** The word of one place of a seed's sequence. */
export function wordAt(seed: number, place: number): number {
  const halves = (value: number) => [value >>> 0, Math.floor(value / 2 ** 32)] as const;
  return philox([...halves(Math.floor(place / 4)), 0, 0], halves(seed))[place % 4] as number;
}

const f = Math.fround;
const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** `c[0] + x (c[1] + x (c[2] + ...))` */
const polynomial = (x: number, coefficients: number[]) =>
  coefficients.reduceRight((sum, c, i) => (i === coefficients.length - 1 ? f(c) : f(f(c) + f(x * sum))), 0);

/** The standard normal number of one place. */
export function normalAt(seed: number, place: number): number {
  const even = place - (place % 2);
  float[0] = f(f((wordAt(seed, even) >>> 8) + 1) * 2 ** -24);
  const shifted = ((bits[0] as number) - 0x3f3504f3) | 0;
  bits[0] = (shifted & 0x007fffff) + 0x3f3504f3;
  const m = float[0] as number;
  const s = f(f(m - 1) / f(m + 1));
  const series = polynomial(f(s * s), [1, 0.333333343, 0.2, 0.142857149, 0.111111112]);
  const log = f(f((shifted >> 23) * f(0.693147182)) + f(f(2 * s) * series));
  const radius = f(Math.sqrt(f(-2 * log)));
  const turn = wordAt(seed, even + 1) >>> 8;
  const quarter = (turn + 0x200000) >> 22;
  const angle = f(f(turn - quarter * 0x400000) * f(3.74507039e-7));
  const a2 = f(angle * angle);
  const sine = f(angle * polynomial(a2, [1, -0.166666672, 8.33333377e-3, -1.98412701e-4, 2.75573188e-6]));
  const cosine = polynomial(a2, [1, -0.5, 4.16666679e-2, -1.38888892e-3, 2.48015876e-5, -2.75573199e-7]);
  if (place % 2 === 0) return f(radius * [cosine, -sine, -cosine, sine, cosine][quarter]!);
  return f(radius * [sine, cosine, -sine, -cosine, sine][quarter]!);
}
