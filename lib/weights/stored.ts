/** What a file of weights says about one tensor, before anything of it is read. */
import type { Dtype } from '../native';

/** Dtypes that files hold. Tensors are f32, bf16, f16, i32 or u8; what else can be read becomes one of these. */
export type StoredDtype = Dtype | 'f64' | 'i64' | 'i16' | 'i8' | 'u64' | 'u32' | 'u16' | 'bool' | 'f8_e4m3' | 'f8_e5m2' | 'f8_e8m0' | 'c64';

export const itemBytes: Readonly<Record<StoredDtype, number>> = {
  f64: 8,
  f32: 4,
  bf16: 2,
  f16: 2,
  f8_e4m3: 1,
  f8_e5m2: 1,
  f8_e8m0: 1,
  c64: 8,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
};

export interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: StoredDtype;
  /** Path of the file. */
  readonly file: string;
  /** Of the first element, in bytes from the start of the file. */
  readonly offset: number;
  /** Of all elements together. */
  readonly bytes: number;
  /** Elements from one to the next along each axis, where they are not simply in rows. */
  readonly strides?: readonly number[];
}

/** Elements of a shape; NaN when it is no shape or they cannot be counted exactly. */
export function countOf(shape: readonly unknown[]): number {
  let count = 1;
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return Number.NaN;
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER) return Number.NaN;
  }
  return count;
}

export const isFloating = (dtype: StoredDtype): boolean => /^(bf|f)\d/.test(dtype);
