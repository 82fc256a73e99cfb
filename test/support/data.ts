import { concat, type Dtype, reshape, rowsView, type Tensor, tensor } from '../../lib';

/** Uniform numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function uniform(seed: number): () => number {
  let state = (seed * 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function randnArray(count: number, seed: number): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
}

export const countOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** Standard normal values, the same for the same seed; f16 and bf16 are rounded from them. */
export function randn(shape: readonly number[], seed: number, dtype: Dtype = 'f32'): Tensor {
  return rounded(randnArray(countOf(shape), seed), shape, dtype);
}

/** `values` as a tensor of a floating dtype, rounded to nearest even. */
export function rounded(values: Float32Array, shape: readonly number[], dtype: Dtype): Tensor {
  if (dtype === 'f32') return tensor(values, shape);
  return tensor(Uint16Array.from(values, dtype === 'bf16' ? bf16Bits : f16Bits), shape, dtype);
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

export function bf16Bits(value: number): number {
  float[0] = value;
  const bits = word[0] as number;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function f16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(Math.floor(Math.log2(size || 1e-30)), -14);
  const unit = 2 ** (exponent - 10);
  const steps = size / unit;
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const even = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  return sign | (even + ((exponent + 14) << 10));
}

/** The same values as `x`, beginning three elements behind the beginning of their memory. */
export function displaced(x: Tensor): Tensor {
  const flat = reshape(x, [countOf(x.shape)]);
  return reshape(rowsView(concat([rowsView(flat, 0, 3), flat], 0), 3, 3 + countOf(x.shape)), x.shape);
}
