/** Masks to polygons: the way back gives the same mask, and the rings are what they say. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type MaskPolygon, polygonsFromRle, type Ring, type Rle, rleArea, rleFromPolygons, rleFromRuns } from '../../lib';
import { uniform } from '../support/data';
import { turnsDuring } from '../support/turns';

/** Of a picture drawn in rows of '.' and '#'. */
function rleOf(rows: readonly string[]): Rle {
  const [height, width] = [rows.length, rows[0]?.length ?? 0];
  const runs = [0];
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      if ((rows[y]?.[x] === '#') !== (runs.length % 2 === 0)) runs.push(0);
      runs[runs.length - 1]!++;
    }
  return rleFromRuns(runs, [height, width]);
}

/** Twice the area that a ring encloses, counterclockwise as one sees it being positive (y goes down). */
function turning(ring: Ring): number {
  let sum = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const [x, y, nextX, nextY] = [0, 1, 2, 3].map((k) => ring[(i + k) % ring.length]) as [number, number, number, number];
    sum -= x * nextY - nextX * y;
  }
  return sum;
}

function assertRings(polygons: readonly MaskPolygon[], rle: Rle): void {
  let area = 0;
  for (const { outer, holes } of polygons) {
    assert.ok(turning(outer) > 0);
    for (const ring of [outer, ...holes]) {
      for (let i = 0; i < ring.length; i += 2) {
        // Each corner is one: the way turns by a right angle.
        const [ax, ay, bx, by, cx, cy] = [0, 1, 2, 3, 4, 5].map((k) => ring[(i + k) % ring.length]) as [
          number,
          number,
          number,
          number,
          number,
          number,
        ];
        assert.ok(ax === bx ? ay !== by && by === cy && bx !== cx : ay === by && bx === cx && by !== cy, `${ring}`);
      }
      area += turning(ring) / 2;
    }
    for (const hole of holes) assert.ok(turning(hole) < 0);
  }
  assert.equal(area, rleArea(rle));
}

describe('polygonsFromRle', () => {
  test('a pixel, and none', async () => {
    assert.deepEqual(await polygonsFromRle(rleOf(['....', '.#..', '....'])), [{ outer: [1, 1, 1, 2, 2, 2, 2, 1], holes: [] }]);
    assert.deepEqual(await polygonsFromRle(rleOf(['...'])), []);
    assert.deepEqual(await polygonsFromRle(rleFromRuns([0], [0, 0])), []);
  });

  test('a ring with an island, which touches it at a corner', async () => {
    const rle = rleOf(['######.', '#....#.', '#.##.#.', '#.#.##.', '#....#.', '######.']);
    const polygons = await polygonsFromRle(rle);
    assert.equal(polygons.length, 2);
    assert.deepEqual(
      polygons.map(({ outer, holes }) => [outer.length / 2, holes.map((hole) => hole.length / 2)]),
      [
        [4, [8]],
        [6, []],
      ],
    );
    assertRings(polygons, rle);
    assert.deepEqual(rleFromPolygons(polygons, rle.size), rle);
  });

  test('holes belong to the part that they are in', async () => {
    const rle = rleOf(['#########', '#.......#', '#.#####.#', '#.#.#.#.#', '#.#####.#', '#.......#', '#########']);
    const polygons = await polygonsFromRle(rle);
    assert.deepEqual(
      polygons.map(({ holes }) => holes.length),
      [1, 2],
    );
    assertRings(polygons, rle);
  });

  test('and back gives the same mask, whatever it is', async () => {
    const side = fc.integer({ min: 1, max: 17 });
    const mask = fc
      .tuple(side, side, fc.constantFrom(0.1, 0.5, 0.9))
      .chain(([height, width, share]) =>
        fc
          .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: height * width, maxLength: height * width })
          .map((values) =>
            Array.from({ length: height }, (_, y) =>
              Array.from({ length: width }, (_, x) => ((values[y * width + x] as number) < share ? '#' : '.')).join(''),
            ),
          ),
      );
    await fc.assert(
      fc.asyncProperty(mask, async (rows) => {
        const rle = rleOf(rows);
        const polygons = await polygonsFromRle(rle);
        assertRings(polygons, rle);
        if (polygons.length > 0) assert.deepEqual(rleFromPolygons(polygons, rle.size), rle);
        // What the rings enclose together is the mask for whoever fills by the even-odd rule, at the middle of each pixel.
        const rings = polygons.flatMap(({ outer, holes }) => [outer, ...holes]);
        for (const [y, row] of rows.entries())
          for (const [x, pixel] of [...row].entries()) assert.equal(inside(rings, x + 0.5, y + 0.5), pixel === '#');
      }),
      { numRuns: 200 },
    );
  });

  test('outer rings alone are a COCO polygon of a mask without holes', async () => {
    const rle = rleOf(['..##..', '.####.', '######', '..#...']);
    const [polygon] = await polygonsFromRle(rle);
    assert.deepEqual(rleFromPolygons([(polygon as MaskPolygon).outer], rle.size), rle);
  });

  test('noise of a million pixels does not hold the thread', async () => {
    const [size, next] = [[1000, 1000] as const, uniform(5)];
    const runs: number[] = [];
    let left = 1e6;
    while (left > 0) {
      const run = Math.min(left, 1 + Math.floor(next() * 4));
      runs.push(run);
      left -= run;
    }
    const rle = rleFromRuns(runs, size);
    let polygons: MaskPolygon[] = [];
    const turns = await turnsDuring(async () => {
      polygons = await polygonsFromRle(rle);
    });
    assert.ok(polygons.length > 10_000);
    assert.ok(turns > 50, `${turns} turns`);
  });

  test('refuses a malformed mask', () =>
    assert.rejects(polygonsFromRle({ size: [2, 2], counts: '9' }), {
      name: 'ArgumentError',
      message: 'rle: counts cover more than 4 pixels',
    }));
});

/** A line to the left of the point crosses the rings an odd number of times. */
function inside(rings: readonly Ring[], x: number, y: number): boolean {
  let crossings = 0;
  for (const ring of rings)
    for (let i = 0; i < ring.length; i += 2) {
      const [ax, ay, , by] = [0, 1, 2, 3].map((k) => ring[(i + k) % ring.length]) as [number, number, number, number];
      if (ax < x && ay < y !== by < y) crossings++;
    }
  return crossings % 2 === 1;
}
