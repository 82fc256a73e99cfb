/**
 * Outlines as rings of x and y in turn, closed, y down. Only sums, products, quotients and square roots, which IEEE 754 rounds one way, so
 * that a scene has the same bits on every machine; sines, which engines round as they like, come from halving angles.
 */
export type Outline = number[];

const steps = 64;

/** Cosines of 0, 1, 2... 64ths of a turn: cos(a / 2) = sqrt((1 + cos a) / 2), and what lies between by the addition formula. */
const cosines = (() => {
  let [cos, sin] = [0, 1]; // a quarter turn, halved four times
  for (let i = 0; i < 4; i++) {
    const half = Math.sqrt((1 + cos) / 2);
    [cos, sin] = [half, Math.sqrt((1 - cos) / 2)];
  }
  const values = [1];
  let [x, y] = [1, 0];
  for (let i = 1; i <= steps / 4; i++) {
    [x, y] = [x * cos - y * sin, x * sin + y * cos];
    values.push(i === steps / 4 ? 0 : x);
  }
  return values;
})();

/** Of `at` 64ths of a turn, from the axis of x towards that of y; between two table values linear. */
export function direction(at: number): [x: number, y: number] {
  const whole = Math.floor(at);
  const rest = at - whole;
  const [x, y] = [cosineAt(whole), cosineAt(whole - steps / 4)];
  if (rest === 0) return [x, y];
  return [x + rest * (cosineAt(whole + 1) - x), y + rest * (cosineAt(whole + 1 - steps / 4) - y)];
}

function cosineAt(step: number): number {
  const at = ((step % steps) + steps) % steps;
  const folded = at > steps / 2 ? steps - at : at;
  return folded > steps / 4 ? -(cosines[steps / 2 - folded] as number) : (cosines[folded] as number);
}

/** @param corners - of the polygon that stands for it; few for what is small. */
export function ellipse(x: number, y: number, radiusX: number, radiusY = radiusX, corners: 16 | 32 | 64 = 32): Outline {
  const ring: Outline = [];
  for (let i = 0; i < steps; i += steps / corners) ring.push(x + radiusX * cosineAt(i), y + radiusY * cosineAt(i - steps / 4));
  return ring;
}

/** A piece of an ellipse between two directions in 64ths of a turn (0 right, 16 down, 32 left, 48 up), closed by its chord. */
export function segment(x: number, y: number, radiusX: number, radiusY: number, from: number, to: number): Outline {
  const ring: Outline = [];
  for (let i = from; i <= to; i += 2) ring.push(x + radiusX * cosineAt(i), y + radiusY * cosineAt(i - steps / 4));
  return ring;
}

/** @param radius - of its corners. */
export function rectangle(left: number, top: number, width: number, height: number, radius = 0): Outline {
  const [right, bottom] = [left + width, top + height];
  if (radius <= 0) return [left, top, right, top, right, bottom, left, bottom];
  const r = Math.min(radius, width / 2, height / 2);
  return [
    ...segment(left + r, top + r, r, r, 32, 48),
    ...segment(right - r, top + r, r, r, 48, 64),
    ...segment(right - r, bottom - r, r, r, 0, 16),
    ...segment(left + r, bottom - r, r, r, 16, 32),
  ];
}

/** Smooth through its corners (Catmull-Rom), closed. */
export function smooth(...corners: readonly number[]): Outline {
  const count = corners.length / 2;
  const ring: Outline = [];
  for (let i = 0; i < count; i++) {
    for (let step = 0; step < 5; step++)
      ring.push(...between(corners, [(i + count - 1) % count, i, (i + 1) % count, (i + 2) % count], step / 5));
  }
  return ring;
}

/** Smooth through its points, open: a line for {@link stroke}. */
export function curve(...points: readonly number[]): Outline {
  const last = points.length / 2 - 1;
  const line: Outline = [];
  for (let i = 0; i < last; i++) {
    for (let step = 0; step < 5; step++) line.push(...between(points, [Math.max(0, i - 1), i, i + 1, Math.min(last, i + 2)], step / 5));
  }
  return [...line, ...points.slice(-2)];
}

function between(points: readonly number[], at: readonly [number, number, number, number], t: number): [x: number, y: number] {
  const along = (axis: 0 | 1) => {
    const [a, b, c, d] = at.map((i) => points[2 * i + axis] as number) as [number, number, number, number];
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  };
  return [along(0), along(1)];
}

/** A line of some width as an outline. @param ends - width at its end, where that is another. */
export function stroke(points: readonly number[], width: number, ends = width): Outline {
  const [left, right]: [Outline, Outline] = [[], []];
  const last = points.length / 2 - 1;
  for (let i = 0; i <= last; i++) {
    const [nx, ny] = normalAt(points, i, false);
    const half = (width + ((ends - width) * i) / last) / 2;
    const [x, y] = [points[2 * i] as number, points[2 * i + 1] as number];
    left.push(x + nx * half, y + ny * half);
    right.unshift(x - nx * half, y - ny * half);
  }
  return [...left, ...right];
}

/** An outline moved outward by `by`; that of a hole, which runs the other way round, moves into the hole. */
export function grown(ring: ArrayLike<number>, by: number): Outline {
  const result: Outline = [];
  for (let i = 0; i < ring.length / 2; i++) {
    const [nx, ny] = normalAt(ring, i, true);
    result.push((ring[2 * i] as number) - nx * by, (ring[2 * i + 1] as number) - ny * by);
  }
  return result;
}

/** Where the sides beside a corner meet when they are moved by 1; at sharp corners no further than 1.6. */
function normalAt(points: ArrayLike<number>, i: number, closed: boolean): [x: number, y: number] {
  const count = points.length / 2;
  const [before, after] = closed ? [(i + count - 1) % count, (i + 1) % count] : [Math.max(0, i - 1), Math.min(count - 1, i + 1)];
  const [ax, ay] = sideNormal(points, before, i);
  const [bx, by] = sideNormal(points, i, after);
  const [x, y] = [ax + bx, ay + by];
  const square = x * x + y * y;
  if (square < 1e-9) return [bx, by];
  const single = (ax === 0 && ay === 0) || (bx === 0 && by === 0);
  const scale = single ? 1 : Math.min(2 / square, 1.6 / Math.sqrt(square));
  return [x * scale, y * scale];
}

function sideNormal(points: ArrayLike<number>, from: number, to: number): [x: number, y: number] {
  const x = (points[2 * to] as number) - (points[2 * from] as number);
  const y = (points[2 * to + 1] as number) - (points[2 * from + 1] as number);
  const length = Math.sqrt(x * x + y * y);
  return length < 1e-9 ? [0, 0] : [-y / length, x / length];
}

/** Twice the area; positive where the ring runs from the axis of x to that of y. */
export function areaOf(ring: ArrayLike<number>): number {
  let area = 0;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2)
    area += (ring[j] as number) * (ring[i + 1] as number) - (ring[i] as number) * (ring[j + 1] as number);
  return area;
}
