/**
 * Masks to polygons: the outlines of a mask along the edges of its pixels, so that rasterising them gives the same mask. Found from
 * runs down the columns: each run has an upper and a lower end, and from an end the outline goes on to the next column, along the
 * side of this run, or to a run beside it. No pixel is looked at.
 */
import type { MaskPolygon } from './polygons';
import { expandRuns, type Rle } from './rle';
import { Turns } from './turns';

const stepsATurn = 20_000; // about a millisecond's

/**
 * The connected parts of a mask with their holes, by their leftmost column. Rings hold corners only, at whole numbers, and may touch
 * themselves at a corner.
 * @throws ArgumentError for a malformed mask.
 */
export async function polygonsFromRle(rle: Rle): Promise<MaskPolygon[]> {
  const turns = new Turns(stepsATurn);
  const columns = await columnsOf(expandRuns(rle), rle.size, turns);
  const part = await parts(columns, turns);
  const seen = new Uint8Array(2 * columns.upper.length);
  const polygons = new Map<number, { outer: number[]; holes: number[][] }>();
  for (let run = 0; run < columns.upper.length; run++) {
    // The first run of a part begins on its outer ring; whatever is not seen later lies on holes.
    for (const lower of [0, 1]) {
      if (seen[2 * run + lower]) continue;
      const ring = follow(columns, 2 * run + lower, seen);
      const known = polygons.get(part[run] as number);
      if (known) known.holes.push(ring);
      else polygons.set(part[run] as number, { outer: ring, holes: [] });
      if (turns.due(ring.length)) await turns.next();
    }
    if (turns.due(1)) await turns.next();
  }
  return [...polygons.values()];
}

/** Runs of ones, each within one column. */
interface Columns {
  /** First row of each run. */
  readonly upper: Int32Array;
  /** Row after its last. */
  readonly lower: Int32Array;
  /** Its column. */
  readonly column: Int32Array;
  /** Runs before each column, and in all. */
  readonly first: Int32Array;
}

async function columnsOf(runs: Int32Array, [height, width]: readonly [number, number], turns: Turns): Promise<Columns> {
  let count = 0;
  for (let i = 0, position = 0; i < runs.length; i++) {
    const end = position + (runs[i] as number);
    if (i % 2 === 1 && end > position) count += Math.floor((end - 1) / height) - Math.floor(position / height) + 1;
    position = end;
  }
  const [upper, lower, column] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
  const first = new Int32Array(width + 1);
  let run = 0;
  for (let i = 0, position = 0; i < runs.length; i++) {
    const end = position + (runs[i] as number);
    for (let at = position; i % 2 === 1 && at < end; run++) {
      const here = Math.floor(at / height);
      upper[run] = at - here * height;
      lower[run] = Math.min(height, end - here * height);
      column[run] = here;
      first[here + 1]!++;
      at = here * height + (lower[run] as number);
    }
    position = end;
    if (turns.due(1)) await turns.next();
  }
  for (let here = 0; here < width; here++) first[here + 1]! += first[here] as number;
  return { upper, lower, column, first };
}

/** For each run the first run that it is connected with. */
async function parts({ upper, lower, first }: Columns, turns: Turns): Promise<Int32Array> {
  const parent = new Int32Array(upper.length);
  for (let run = 0; run < parent.length; run++) parent[run] = run;
  const root = (run: number): number => {
    let at = run;
    while (parent[at] !== at) at = parent[at] = parent[parent[at] as number] as number;
    return at;
  };
  for (let column = 0; column + 2 < first.length; column++) {
    let [a, b] = [first[column] as number, first[column + 1] as number];
    const [endOfA, endOfB] = [b, first[column + 2] as number];
    if (turns.due(endOfB - a)) await turns.next();
    while (a < endOfA && b < endOfB) {
      if (Math.max(upper[a] as number, upper[b] as number) < Math.min(lower[a] as number, lower[b] as number)) {
        const [one, other] = [root(a), root(b)];
        parent[Math.max(one, other)] = Math.min(one, other);
      }
      if ((lower[a] as number) < (lower[b] as number)) a++;
      else b++;
    }
  }
  // A parent is never a later run, so one look is enough.
  for (let run = 0; run < parent.length; run++) parent[run] = parent[parent[run] as number] as number;
  return parent;
}

/**
 * The ring through an end of a run (2 run for the upper, 2 run + 1 for the lower). The mask lies to the left of the way: along lower
 * ends it goes to the right, along upper ends back to the left.
 */
function follow({ upper, lower, column, first }: Columns, start: number, seen: Uint8Array): number[] {
  const ring: number[] = [];
  let end = start;
  do {
    seen[end] = 1;
    const run = end >> 1;
    const here = column[run] as number;
    if (end & 1) {
      const y = lower[run] as number;
      const other = before(upper, first[here + 1] as number, first[here + 2] ?? upper.length, y);
      if (other >= 0 && (lower[other] as number) >= y) {
        if (lower[other] === y) {
          end = 2 * other + 1;
          continue;
        }
        const next = run + 1; // below in this column, where the other run may reach
        end = next < (first[here + 1] as number) && (upper[next] as number) < (lower[other] as number) ? 2 * next : 2 * other + 1;
      } else {
        end = other >= 0 && (lower[other] as number) > (upper[run] as number) ? 2 * other + 1 : 2 * run;
      }
      ring.push(here + 1, y, here + 1, (end & 1 ? lower : upper)[end >> 1] as number);
    } else {
      const y = upper[run] as number;
      const other = after(lower, first[here - 1] ?? 0, first[here] as number, y);
      if (other >= 0 && (upper[other] as number) <= y) {
        if (upper[other] === y) {
          end = 2 * other;
          continue;
        }
        const next = run - 1; // above in this column
        end = next >= (first[here] as number) && (lower[next] as number) > (upper[other] as number) ? 2 * next + 1 : 2 * other;
      } else {
        end = other >= 0 && (upper[other] as number) < (lower[run] as number) ? 2 * other : 2 * run + 1;
      }
      ring.push(here, y, here, (end & 1 ? lower : upper)[end >> 1] as number);
    }
  } while (end !== start);
  return ring;
}

/** The last run of [begin, end) with `rows[run] < y`, or -1. */
function before(rows: Int32Array, begin: number, end: number, y: number): number {
  let [low, high] = [begin, end];
  while (low < high) {
    const half = (low + high) >> 1;
    if ((rows[half] as number) < y) low = half + 1;
    else high = half;
  }
  return low > begin ? low - 1 : -1;
}

/** The first run of [begin, end) with `rows[run] > y`, or -1. */
function after(rows: Int32Array, begin: number, end: number, y: number): number {
  let [low, high] = [begin, end];
  while (low < high) {
    const half = (low + high) >> 1;
    if ((rows[half] as number) > y) high = half;
    else low = half + 1;
  }
  return low < end ? low : -1;
}
