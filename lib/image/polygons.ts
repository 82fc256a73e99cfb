/**
 * Polygons to masks, as COCO's tools rasterise: each edge is walked on a grid five times finer, and where it crosses the middle of a
 * column the mask begins or ends, https://github.com/cocodataset/cocoapi. In pixels, x to the right, y down; the first pixel lies
 * between 0 and 1. The way back is {@link polygonsFromRle}.
 */
import { ArgumentError } from '../errors';
import { mergeRles, type Rle, rleFromRuns } from './rle';

/** Corners of a closed line: x and y in turn, at least three. */
export type Ring = readonly number[];

/** One connected part of a mask: its pixels touch along their edges, not at corners alone. */
export interface MaskPolygon {
  /** Counterclockwise as one sees it. */
  readonly outer: Ring;
  /** Clockwise. */
  readonly holes: readonly Ring[];
}

const fine = 5; // steps of the finer grid a pixel
const middle = 2; // of them before the middle of a pixel
const farthest = 1e9; // pixels: steps are counted one by one, and near 2^53 they are no longer apart

/**
 * The pixels inside of any of the polygons. Of a {@link MaskPolygon} those inside of its outer ring and not of its holes.
 * @param polygons - rings as COCO's annotations hold them, which may leave the image and cross themselves, or parts with holes.
 * @throws ArgumentError for what is no ring or leaves -1e9 to 1e9, and for no polygons.
 */
export function rleFromPolygons(polygons: readonly (Ring | MaskPolygon)[], size: readonly [height: number, width: number]): Rle {
  if (!Array.isArray(polygons) || polygons.length === 0)
    throw new ArgumentError('rleFromPolygons: polygons is empty, expected at least one');
  const [height, width] = rleFromRuns([(size?.[0] ?? 0) * (size?.[1] ?? 0)], size).size;
  const parts = polygons.map((polygon: Ring | MaskPolygon, i) => {
    const crossings: number[] = [];
    const rings = Array.isArray(polygon) ? [polygon] : [(polygon as MaskPolygon)?.outer, ...((polygon as MaskPolygon)?.holes ?? [])];
    for (const ring of rings) cross(expectRing(ring, i), height, width, crossings);
    return rleFromRuns(runsBetween(crossings, height * width), size);
  });
  return parts.length === 1 ? (parts[0] as Rle) : mergeRles(parts);
}

function expectRing(ring: unknown, i: number): Ring {
  const fail = (why: string, expected = 'x and y in turn of at least three corners'): never => {
    throw new ArgumentError(`rleFromPolygons: polygons[${i}] ${why}, expected ${expected}`);
  };
  if (!Array.isArray(ring)) return fail('is no list of numbers');
  if (ring.length < 6 || ring.length % 2 === 1) fail(`has ${ring.length} numbers`);
  const wrong = ring.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) fail(`has ${String(ring[wrong])} at ${wrong}`);
  const far = ring.findIndex((value) => Math.abs(value) > farthest);
  if (far >= 0) fail(`has ${ring[far]} at ${far}`, 'numbers from -1e9 to 1e9');
  return ring;
}

/** Appends, for each column whose middle the ring crosses, the first pixel below the crossing; pixels count down the columns. */
function cross(ring: Ring, height: number, width: number, crossings: number[]): void {
  const at = (i: number) => Math.trunc(fine * (ring[i % ring.length] as number) + 0.5);
  const add = (column: number, y: number) => {
    const row = Math.ceil(Math.min(Math.max((y + 0.5) / fine - 0.5, 0), height));
    crossings.push(column * height + row);
  };
  for (let i = 0; i < ring.length; i += 2) {
    // From the end with the smaller coordinate along the longer direction.
    let [x, y, endX, endY] = [at(i), at(i + 1), at(i + 2), at(i + 3)];
    const flat = Math.abs(endX - x) >= Math.abs(endY - y);
    if (flat ? x > endX : y > endY) [x, y, endX, endY] = [endX, endY, x, y];
    const [low, high] = [Math.min(x, endX), Math.max(x, endX)];
    const last = Math.min(width - 1, Math.floor((high - middle - 1) / fine));
    for (let column = Math.max(0, Math.ceil((low - middle) / fine)); column <= last; column++) {
      const before = column * fine + middle; // the crossing lies between this and the next step of x
      if (flat) {
        const slope = (endY - y) / (endX - x);
        const rowAt = (step: number) => Math.trunc(y + slope * step + 0.5);
        add(column, Math.min(rowAt(before - x), rowAt(before + 1 - x)));
      } else {
        // The last step of y at which x is still on the side where the edge begins.
        const slope = (endX - x) / (endY - y);
        const begins = (step: number) => Math.trunc(x + slope * step + 0.5) <= before === slope > 0;
        let step = Math.max(0, Math.floor((before + 0.5 - x) / slope) - 1);
        while (!begins(step)) step--;
        while (begins(step + 1)) step++;
        add(column, y + step);
      }
    }
  }
}

/** Lengths of runs that change at each of `crossings`, twice at one place not at all. */
function runsBetween(crossings: number[], pixels: number): number[] {
  const ends = Float64Array.from(crossings).sort();
  const runs: number[] = [];
  let begin = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] as number;
    if (end === ends[i + 1]) {
      i++;
      continue;
    }
    runs.push(end - begin);
    begin = end;
  }
  if (begin < pixels || runs.length === 0) runs.push(pixels - begin);
  return runs;
}
