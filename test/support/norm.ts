/** Norms of rows in float64, with their gradients. */
export interface NormOracle {
  y: Float64Array;
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
}

type Numbers = ArrayLike<number>;

/** `(x - mean) * rstd * weight + bias` over rows of `dim`; without `bias` the mean is taken as 0 (RMS norm). */
export function normInFloat64(x: Numbers, dy: Numbers, weight: Numbers, bias: Numbers | undefined, eps: number): NormOracle {
  const dim = weight.length;
  const at = (numbers: Numbers, i: number) => numbers[i] as number;
  const result = {
    y: new Float64Array(x.length),
    dx: new Float64Array(x.length),
    dweight: new Float64Array(dim),
    dbias: new Float64Array(dim),
  };
  for (let start = 0; start < x.length; start += dim) {
    let mean = 0;
    if (bias) for (let i = 0; i < dim; i++) mean += at(x, start + i) / dim;
    let square = 0;
    for (let i = 0; i < dim; i++) square += (at(x, start + i) - mean) ** 2 / dim;
    const rstd = 1 / Math.sqrt(square + eps);
    const n = Float64Array.from({ length: dim }, (_, i) => (at(x, start + i) - mean) * rstd);
    let level = 0;
    let along = 0;
    for (let i = 0; i < dim; i++) {
      const d = at(dy, start + i);
      result.y[start + i] = at(n, i) * at(weight, i) + (bias ? at(bias, i) : 0);
      result.dweight[i] = at(result.dweight, i) + d * at(n, i);
      result.dbias[i] = at(result.dbias, i) + d;
      if (bias) level += (d * at(weight, i)) / dim;
      along += (d * at(weight, i) * at(n, i)) / dim;
    }
    for (let i = 0; i < dim; i++) result.dx[start + i] = rstd * (at(dy, start + i) * at(weight, i) - level - at(n, i) * along);
  }
  return result;
}
