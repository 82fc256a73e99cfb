import type { Tensor } from '../../lib';

/** `a` [rows, inner] times `b` [inner, columns] in float64; each is read through its own strides (row, column). */
export function product64(
  sizes: { rows: number; inner: number; columns: number },
  a: ArrayLike<number>,
  aStrides: readonly [number, number],
  b: ArrayLike<number>,
  bStrides: readonly [number, number],
): Float64Array {
  const { rows, inner, columns } = sizes;
  const result = new Float64Array(rows * columns);
  const right = new Float64Array(columns);
  for (let i = 0; i < inner; i++) {
    for (let column = 0; column < columns; column++) right[column] = b[i * bStrides[0] + column * bStrides[1]] as number;
    for (let row = 0; row < rows; row++) {
      const left = a[row * aStrides[0] + i * aStrides[1]] as number;
      for (let column = 0, at = row * columns; column < columns; column++, at++) (result[at] as number) += left * (right[column] as number);
    }
  }
  return result;
}

/** `x weight^T + bias` in float64 of the values as they are stored. */
export async function linear64(x: Tensor, weight: Tensor, bias?: Tensor): Promise<Float64Array> {
  const [out, inner] = [weight.shape[0] as number, weight.shape[1] as number];
  const rows = x.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const [xs, ws, bs] = [await x.read(), await weight.read(), await bias?.read()];
  const result = product64({ rows, inner, columns: out }, xs, [inner, 1], ws, [1, inner]);
  return bs ? result.map((value, i) => value + (bs[i % out] as number)) : result;
}
