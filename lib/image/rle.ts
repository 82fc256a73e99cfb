/**
 * COCO's run-length encoding of masks as strings: lengths of runs down the columns, zeros first; each length from the third
 * on as the difference to the one two before; 5 bits a character from '0' on, low bits first, bit 5 set where more follow,
 * the last one's bit 4 being the sign. https://github.com/cocodataset/cocoapi
 */
import { shown } from '../checks';
import { ArgumentError, ShapeError } from '../errors';

export interface Rle {
  /** Height and width in pixels. */
  readonly size: readonly [height: number, width: number];
  readonly counts: string;
}

/** x and y of the upper left corner, width, height. */
export type Box = readonly [x: number, y: number, width: number, height: number];

const FIRST = 48; // '0'

/** Run lengths as a compressed string. */
export function compressRuns(runs: ArrayLike<number>): string {
  const characters = Buffer.allocUnsafe(7 * runs.length);
  let length = 0;
  for (let i = 0; i < runs.length; i++) {
    let rest = (runs[i] as number) - (i > 2 ? (runs[i - 2] as number) : 0);
    for (;;) {
      const bits = rest & 31;
      rest >>= 5;
      const done = rest === (bits & 16 ? -1 : 0);
      characters[length++] = FIRST + (done ? bits : bits | 32);
      if (done) break;
    }
  }
  return characters.toString('latin1', 0, length);
}

function malformed(why: string): never {
  throw new ArgumentError(`rle: counts ${why}`);
}

function checkSize(size: unknown): readonly [number, number] {
  const valid = Array.isArray(size) && size.length === 2 && size.every((one) => Number.isInteger(one) && one >= 0);
  if (!valid || size[0] * size[1] >= 2 ** 31 - 1) {
    throw new ArgumentError('rle: size is not [height, width], expected two whole numbers, 0 or more, of fewer than 2^31 - 1 pixels');
  }
  return size as [number, number];
}

/**
 * The run lengths of a compressed string.
 * @throws ArgumentError for a string that is cut, has other characters, or whose runs do not cover the image.
 */
export function expandRuns(rle: Rle): Int32Array {
  const { size, counts } = rle ?? {};
  const [height, width] = checkSize(size);
  if (typeof counts !== 'string') malformed(`is ${counts === null ? 'null' : typeof counts}, expected a string`);
  const runs = new Int32Array(counts.length);
  let count = 0;
  let pixels = 0;
  for (let at = 0; at < counts.length; ) {
    let value = 0;
    for (let shift = 0; ; shift += 5) {
      if (at === counts.length) malformed('ends within a number');
      const bits = counts.charCodeAt(at) - FIRST;
      if (!(bits >= 0 && bits < 64)) malformed(`has ${JSON.stringify(counts[at])} at ${at}, expected characters '0' to 'o'`);
      if (shift > 30) malformed(`has a number of more than 35 bits before ${at}`);
      at++;
      value += (bits & 31) * 2 ** shift;
      if (bits & 32) continue;
      if (bits & 16) value -= 32 * 2 ** shift;
      break;
    }
    if (count > 2) value += runs[count - 2] as number;
    if (value < 0) malformed(`has a run of ${value}, expected 0 or more`);
    pixels += value;
    if (pixels > height * width) break;
    runs[count++] = value;
  }
  if (pixels !== height * width) malformed(`cover ${pixels > height * width ? 'more than ' : `${pixels} of `}${height * width} pixels`);
  return runs.subarray(0, count);
}

/**
 * Compresses run lengths.
 * @throws ArgumentError when they are no whole numbers, 0 or more, that cover the image.
 */
export function rleFromRuns(runs: ArrayLike<number>, size: readonly [height: number, width: number]): Rle {
  const [height, width] = checkSize(size);
  let pixels = 0;
  for (let i = 0; i < (runs?.length ?? 0); i++) {
    const run = runs[i] as number;
    if (!(Number.isInteger(run) && run >= 0))
      throw new ArgumentError(`rle: runs[${i}] is ${String(run)}, expected a whole number, 0 or more`);
    pixels += run;
  }
  if (pixels !== height * width) throw new ArgumentError(`rle: runs cover ${pixels} pixels, expected ${height * width}, height * width`);
  return { size, counts: compressRuns(runs) };
}

/** Calls `visit(begin, end)` for each run of ones; positions count down the columns. */
function forOnes(runs: Int32Array, visit: (begin: number, end: number) => void): void {
  let position = 0;
  for (let i = 0; i < runs.length; i++) {
    const end = position + (runs[i] as number);
    if (i % 2 === 1 && end > position) visit(position, end);
    position = end;
  }
}

/** Pixels that are set. */
export function rleArea(rle: Rle): number {
  return areaOf(expandRuns(rle));
}

function areaOf(runs: Int32Array): number {
  let area = 0;
  for (let i = 1; i < runs.length; i += 2) area += runs[i] as number;
  return area;
}

/** The smallest box that holds all pixels; all 0 for an empty mask. */
export function rleBox(rle: Rle): Box {
  return boxOf(expandRuns(rle), rle.size[0]);
}

function boxOf(runs: Int32Array, height: number): Box {
  let [left, right, top, bottom] = [Number.POSITIVE_INFINITY, -1, height, -1];
  forOnes(runs, (begin, end) => {
    const [first, last] = [Math.floor(begin / height), Math.floor((end - 1) / height)];
    left = Math.min(left, first);
    right = last;
    top = first === last ? Math.min(top, begin % height) : 0;
    bottom = first === last ? Math.max(bottom, (end - 1) % height) : height - 1;
  });
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/** Walks two lists of runs of one length together: `visit(pixels, a, b)` for each stretch in which neither changes. */
function together(a: Int32Array, b: Int32Array, visit: (pixels: number, a: boolean, b: boolean) => void): void {
  let [i, j] = [0, 0];
  let [leftOfA, leftOfB] = [a[0] ?? 0, b[0] ?? 0];
  while (i < a.length && j < b.length) {
    const pixels = Math.min(leftOfA, leftOfB);
    if (pixels > 0) visit(pixels, i % 2 === 1, j % 2 === 1);
    leftOfA -= pixels;
    leftOfB -= pixels;
    if (leftOfA === 0) leftOfA = a[++i] ?? 0;
    else leftOfB = b[++j] ?? 0;
  }
}

function expectSameSize(rles: readonly Rle[], [height, width]: readonly [number, number]): void {
  for (const { size } of rles) {
    if (size[0] === height && size[1] === width) continue;
    throw new ShapeError(`rle: a mask is [${size.join(', ')}], expected [${height}, ${width}], the size of the first`);
  }
}

/** The runs of what `keep` says of the pixels of two masks of one size. */
function combine(a: Int32Array, b: Int32Array, keep: (inA: boolean, inB: boolean) => boolean): Int32Array {
  const runs: number[] = [];
  let set = false;
  let open = 0;
  together(a, b, (pixels, inA, inB) => {
    if (keep(inA, inB) !== set) {
      runs.push(open);
      open = 0;
      set = !set;
    }
    open += pixels;
  });
  runs.push(open);
  return Int32Array.from(runs);
}

/**
 * Pixels set in any of the masks, or with `intersect` in all of them.
 * @throws ArgumentError for no masks, ShapeError for masks of other sizes.
 */
export function mergeRles(rles: readonly Rle[], intersect = false): Rle {
  if (!Array.isArray(rles) || rles.length === 0) throw new ArgumentError('mergeRles: rles is empty, expected at least one mask');
  const all = rles.map(expandRuns);
  const { size } = rles[0] as Rle;
  expectSameSize(rles, size);
  const keep = (inA: boolean, inB: boolean) => (intersect ? inA && inB : inA || inB);
  return { size, counts: compressRuns(all.reduce((a, b) => combine(a, b, keep))) };
}

/** Pixels of `rle` that are not in `taken`. @throws ArgumentError for malformed masks, ShapeError for two sizes. */
export function subtractRle(rle: Rle, taken: Rle): Rle {
  const [a, b] = [expandRuns(rle), expandRuns(taken)];
  expectSameSize([taken], rle.size);
  return { size: rle.size, counts: compressRuns(combine(a, b, (inA, inB) => inA && !inB)) };
}

/** A mask without a pixel. */
export const emptyRle = (size: readonly [height: number, width: number]): Rle => rleFromRuns([size[0] * size[1]], size);

/** Pixels that both masks have. @throws ArgumentError for malformed masks, ShapeError for two sizes. */
export function rleIntersection(a: Rle, b: Rle): number {
  const [first, second] = [expandRuns(a), expandRuns(b)];
  expectSameSize([b], a.size);
  return sharedOf(first, second);
}

function sharedOf(a: Int32Array, b: Int32Array): number {
  let shared = 0;
  together(a, b, (pixels, inA, inB) => {
    if (inA && inB) shared += pixels;
  });
  return shared;
}

const ratio = (shared: number, union: number) => (shared === 0 ? 0 : shared / union);

/**
 * IoU of each mask of `dt` with each of `gt`. With a crowd the union is the area of the detection alone; 0 / 0 is 0.
 * @throws ArgumentError for malformed masks, ShapeError for masks of other sizes.
 */
export function rleIou(dt: readonly Rle[], gt: readonly Rle[], isCrowd: readonly boolean[] = []): number[][] {
  const measure = (rle: Rle) => {
    const runs = expandRuns(rle);
    return { runs, area: areaOf(runs), box: boxOf(runs, rle.size[0]) };
  };
  const [detections, truths] = [dt.map(measure), gt.map(measure)];
  const first = dt[0] ?? gt[0];
  if (first) expectSameSize([...dt, ...gt], first.size);
  return detections.map((a) =>
    truths.map((b, j) => {
      const shared = boxOverlap(a.box, b.box) > 0 ? sharedOf(a.runs, b.runs) : 0;
      return ratio(shared, isCrowd[j] ? a.area : a.area + b.area - shared);
    }),
  );
}

function boxOverlap(a: Box, b: Box): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

/** IoU of each box of `dt` with each of `gt`; crowds as in {@link rleIou}. @throws ArgumentError for what is no box. */
export function boxIou(dt: readonly Box[], gt: readonly Box[], isCrowd: readonly boolean[] = []): number[][] {
  for (const [name, boxes] of Object.entries({ dt, gt }))
    for (const [i, box] of boxes.entries())
      if (box?.length !== 4) throw new ArgumentError(`boxIou: ${name}[${i}] is ${shown(box)}, expected [x, y, width, height]`);
  return dt.map((a) =>
    gt.map((b, j) => {
      const shared = boxOverlap(a, b);
      const area = a[2] * a[3];
      return ratio(shared, isCrowd[j] ? area : area + b[2] * b[3] - shared);
    }),
  );
}

/**
 * A mask of an MGSC annotation: JSON of `{size, counts}` with `counts` in base64; `null` and "None" are no mask.
 * @throws ArgumentError for anything else.
 */
export function parseRleAnnotation(text: string | null | undefined): Rle | undefined {
  if (text === null || text === undefined || text === 'None') return undefined;
  let parsed: { size?: unknown; counts?: unknown } | null;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ArgumentError('rle: the annotation is no JSON', { cause });
  }
  if (typeof parsed?.counts !== 'string') malformed('of the annotation is no string');
  const rle = { size: checkSize(parsed?.size), counts: Buffer.from(parsed.counts, 'base64').toString('latin1') };
  expandRuns(rle);
  return rle;
}
