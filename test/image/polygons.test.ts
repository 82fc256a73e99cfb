/** Parity with pycocotools: every polygon of MGLMM_GOLDEN/masks; every refusal. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import * as fc from 'fast-check';
import { expandRuns, mergeRles, rleArea, rleFromPolygons } from '../../lib';
import { goldenFolder } from '../support/golden';

interface Expected {
  polygons: { polygons: number[][]; size: [number, number]; counts_each: string[]; counts: string; area: number }[];
  boxes: { box_xywh: [number, number, number, number]; size: [number, number]; counts: string; area: number }[];
}
const expected = JSON.parse(readFileSync(join(goldenFolder, 'masks/expected.json'), 'utf8')) as Expected;

describe('polygons of the goldens', () => {
  test('there are some', () => assert.ok(expected.polygons.length > 0 && expected.boxes.length > 0));

  for (const [i, { polygons, size, counts_each, counts, area }] of expected.polygons.entries())
    test(`${i} [${size}]`, () => {
      const each = polygons.map((polygon) => rleFromPolygons([polygon], size));
      assert.deepEqual(
        each,
        counts_each.map((one) => ({ size, counts: one })),
      );
      const all = rleFromPolygons(polygons, size);
      assert.deepEqual(all, { size, counts });
      assert.equal(rleArea(all), area);
    });

  for (const { box_xywh, size, counts, area } of expected.boxes)
    test(`box ${box_xywh}`, () => {
      const [x, y, width, height] = box_xywh;
      const rle = rleFromPolygons([[x, y, x, y + height, x + width, y + height, x + width, y]], size);
      assert.deepEqual([rle, rleArea(rle)], [{ size, counts }, area]);
    });
});

/** The walk as COCO describes it: every step of every edge on the fine grid, then the steps that cross the middle of a column. */
function runsByWalking(ring: readonly number[], height: number, width: number): number[] {
  const fine = ring.map((value) => Math.trunc(5 * value + 0.5));
  const steps: [number, number][] = [];
  for (let i = 0; i < fine.length; i += 2) {
    let [x, y, endX, endY] = [0, 1, 2, 3].map((k) => fine[(i + k) % fine.length]) as [number, number, number, number];
    const flat = Math.abs(endX - x) >= Math.abs(endY - y);
    const back = flat ? x > endX : y > endY;
    if (back) [x, y, endX, endY] = [endX, endY, x, y];
    const count = flat ? endX - x : endY - y;
    const slope = (flat ? endY - y : endX - x) / (count || 1);
    for (let k = 0; k <= count; k++) {
      const t = back ? count - k : k;
      steps.push(flat ? [x + t, Math.trunc(y + slope * t + 0.5)] : [Math.trunc(x + slope * t + 0.5), y + t]);
    }
  }
  const crossings: number[] = [];
  for (let k = 1; k < steps.length; k++) {
    const [[beforeX, beforeY], [x, y]] = [steps[k - 1], steps[k]] as [[number, number], [number, number]];
    if (x === beforeX) continue;
    const column = (Math.min(x, beforeX) + 0.5) / 5 - 0.5;
    if (!Number.isInteger(column) || column < 0 || column > width - 1) continue;
    crossings.push(column * height + Math.ceil(Math.min(Math.max((Math.min(y, beforeY) + 0.5) / 5 - 0.5, 0), height)));
  }
  const pixels = new Uint8Array(height * width);
  for (const crossing of crossings) for (let i = crossing; i < pixels.length; i++) pixels[i]! ^= 1;
  const runs = [0];
  for (let i = 0; i < pixels.length; i++) {
    if (pixels[i] !== (runs.length + 1) % 2) runs.push(0);
    runs[runs.length - 1]!++;
  }
  return runs;
}

const side = fc.integer({ min: 1, max: 30 });
const coordinate = fc.oneof(
  fc.integer({ min: -9, max: 40 }),
  fc.double({ min: -40, max: 70, noNaN: true }),
  fc.integer({ min: -99, max: 400 }).map((n) => n / 10),
);

test('columns that are crossed are those that walking finds', () =>
  fc.assert(
    fc.property(side, side, fc.array(fc.tuple(coordinate, coordinate), { minLength: 3, maxLength: 9 }), (height, width, corners) => {
      const ring = corners.flat();
      assert.deepEqual([...expandRuns(rleFromPolygons([ring], [height, width]))], runsByWalking(ring, height, width));
    }),
    { numRuns: 1000 },
  ));

test('a ring far outside costs nothing', () => {
  const far = [-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9];
  assert.equal(rleArea(rleFromPolygons([far], [30, 20])), 600);
});

test('holes are left out, parts are united', () => {
  const square = (from: number, to: number) => [from, from, from, to, to, to, to, from];
  const part = { outer: square(1, 9), holes: [square(2, 4), square(5, 8)] };
  assert.equal(rleArea(rleFromPolygons([part], [12, 12])), 64 - 4 - 9);
  const both = rleFromPolygons([part, square(0, 3)], [12, 12]);
  assert.deepEqual(both, mergeRles([rleFromPolygons([part], [12, 12]), rleFromPolygons([square(0, 3)], [12, 12])]));
});

test('takes corners far outside of the image', () => {
  const whole = [-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9];
  assert.deepEqual(rleFromPolygons([whole], [3, 4]), rleFromPolygons([[0, 0, 4, 0, 4, 3, 0, 3]], [3, 4]));
  assert.deepEqual(rleFromPolygons([[-3e8, -1e9, 3e8, 1e9, 0, 1e9]], [10, 10]).size, [10, 10]);
});

test('refuses what is no polygon', () => {
  const refuses = (polygons: unknown, size: unknown, message: string) =>
    assert.throws(() => rleFromPolygons(polygons as number[][], size as [number, number]), { name: 'ArgumentError', message });
  const corners = 'expected x and y in turn of at least three corners';
  const size = [5, 5];
  refuses([], size, 'rleFromPolygons: polygons is empty, expected at least one');
  refuses(undefined, size, 'rleFromPolygons: polygons is empty, expected at least one');
  refuses([[1, 2, 3, 4]], size, `rleFromPolygons: polygons[0] has 4 numbers, ${corners}`);
  refuses(
    [
      [0, 0, 1, 1, 2, 2],
      [0, 0, 1, 1, 2, 2, 3],
    ],
    size,
    `rleFromPolygons: polygons[1] has 7 numbers, ${corners}`,
  );
  refuses([[0, 0, 1, Number.NaN, 2, 2]], size, `rleFromPolygons: polygons[0] has NaN at 3, ${corners}`);
  refuses([[0, 0, 1, 1e16, 2, 2]], size, 'rleFromPolygons: polygons[0] has 10000000000000000 at 3, expected numbers from -1e9 to 1e9');
  refuses([[0, 0, 1, '1', 2, 2]], size, `rleFromPolygons: polygons[0] has 1 at 3, ${corners}`);
  for (const wrong of [null, 7, {}, { outer: 3 }]) refuses([wrong], size, `rleFromPolygons: polygons[0] is no list of numbers, ${corners}`);
  const noSize = 'rle: size is not [height, width], expected two whole numbers, 0 or more, of fewer than 2^31 - 1 pixels';
  for (const wrong of [undefined, [1], [1.5, 2], [2 ** 20, 2 ** 20]]) refuses([[0, 0, 1, 1, 2, 2]], wrong, noSize);
});
