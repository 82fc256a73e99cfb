/** Bilinear resizing and its gradient by the definition, in float64. */

type Size = readonly [height: number, width: number];

/** The pixels and weights that output position `i` reads, along one axis. */
export function reads(i: number, from: number, to: number): [pixel: number, weight: number][] {
  const position = Math.max(((i + 0.5) * from) / to - 0.5, 0);
  const lower = Math.floor(position);
  return [
    [lower, 1 - (position - lower)],
    [Math.min(lower + 1, from - 1), position - lower],
  ];
}

/** Calls `visit` for each pixel of the result, and each of the four that it reads. */
function visitAll(planes: number, from: Size, to: Size, visit: (output: number, input: number, weight: number) => void): void {
  for (let output = 0; output < planes * to[0] * to[1]; output++) {
    const line = Math.floor(output / to[1]);
    for (const [row, rowWeight] of reads(line % to[0], from[0], to[0]))
      for (const [column, weight] of reads(output % to[1], from[1], to[1]))
        visit(output, (Math.floor(line / to[0]) * from[0] + row) * from[1] + column, rowWeight * weight);
  }
}

/** @param x - `[planes, ...from]`; gives `[planes, ...to]`. */
export function resized(x: ArrayLike<number>, planes: number, from: Size, to: Size): Float64Array {
  const y = new Float64Array(planes * to[0] * to[1]);
  visitAll(planes, from, to, (output, input, weight) => {
    y[output]! += weight * (x[input] as number);
  });
  return y;
}

/** @param dy - `[planes, ...to]`; gives `[planes, ...from]`. */
export function resizedBackward(dy: ArrayLike<number>, planes: number, from: Size, to: Size): Float64Array {
  const dx = new Float64Array(planes * from[0] * from[1]);
  visitAll(planes, from, to, (output, input, weight) => {
    dx[input]! += weight * (dy[output] as number);
  });
  return dx;
}
