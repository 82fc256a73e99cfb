/** Filling against areas that are known, and directions against the engine's sines. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { Canvas, type Paint } from '../../../lib/data/scenes/canvas';
import { areaOf, direction, ellipse, grown, type Outline, rectangle, stroke } from '../../../lib/data/scenes/shapes';

const white: Paint = { rgb: [255, 255, 255] };

/** Of each pixel, 0 to 1, in steps of a 255th. */
function coverage(rings: readonly Outline[], size = 40): number[] {
  const canvas = new Canvas(size, { pixels: true });
  canvas.fill({ rings, label: 1, paint: white });
  return Array.from({ length: size * size }, (_, i) => (canvas.pixels?.[3 * i] ?? 0) / 255);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('filling', () => {
  test('covers a rectangle between pixels by exact shares', () => {
    const found = coverage([rectangle(0.25, 0.5, 0.125, 0.25)], 10); // x 2.5 to 3.75, y 5 to 7.5
    const expected = [0, 0, 0.5, 0.75, 0];
    for (const [x, share] of expected.entries()) {
      assert.ok(Math.abs((found[60 + x] as number) - share) <= 1 / 255, `row 6, pixel ${x}: ${found[60 + x]}`);
      assert.ok(Math.abs((found[70 + x] as number) - share / 2) <= 1 / 255, `row 7, pixel ${x}: ${found[70 + x]}`);
      assert.equal(found[80 + x], 0);
    }
  });

  test('covers as much as outlines enclose, whichever way they run, holes left out', () => {
    const size = 40;
    const triangle = [0.1, 0.2, 0.93, 0.41, 0.3, 0.87];
    const reversed = [0.3, 0.87, 0.93, 0.41, 0.1, 0.2];
    const disc = ellipse(0.5, 0.5, 0.4, 0.3, 64);
    const hole = ellipse(0.5, 0.5, 0.2, 0.1, 64);
    const holeReversed = hole.map((_, i) => hole[hole.length - 2 - i + 2 * (i % 2)] as number);
    for (const [rings, area] of [
      [[triangle], Math.abs(areaOf(triangle)) / 2],
      [[reversed], Math.abs(areaOf(triangle)) / 2],
      [[disc], Math.PI * 0.4 * 0.3],
      [[disc, holeReversed], Math.PI * (0.4 * 0.3 - 0.2 * 0.1)],
      [[rectangle(0, 0, 0.5, 0.5), rectangle(0.25, 0.25, 0.5, 0.5)], 0.25 + 0.25 - 0.0625], // what is covered twice is covered once
    ] as const) {
      // A polygon of 64 corners has 0.16 % less than the ellipse; a pixel is rounded to a 255th.
      const rounding = (size * 12) / 255 / size ** 2;
      assert.ok(Math.abs(sum(coverage(rings, size)) / size ** 2 - area) < 0.0016 * area + rounding, `${sum(coverage(rings, size))}`);
    }
  });

  test('clips what leaves the picture', () => {
    assert.ok(coverage([rectangle(-1, -2, 4, 5)]).every((share) => share === 1));
    assert.equal(sum(coverage([rectangle(1.2, 0, 0.5, 0.5)])), 0);
    assert.equal(sum(coverage([rectangle(-0.5, -0.5, 1, 1)])), 20 * 20);
  });

  test('labels the pixels that are half covered or more', () => {
    const canvas = new Canvas(10, { labels: true });
    canvas.fill({ rings: [rectangle(0.245, 0, 0.21, 0.1)], label: 7, paint: white });
    canvas.fill({ rings: [rectangle(0.4, 0, 0.5, 1)], paint: white }); // a shadow belongs to nothing
    assert.deepEqual([...(canvas.labels as Uint16Array).subarray(0, 6)], [0, 0, 7, 7, 7, 0]);
  });
});

describe('outlines', () => {
  test('directions are the sines of the engine', () => {
    for (let at = -70; at <= 140; at++) {
      const [x, y] = direction(at);
      const angle = (2 * Math.PI * at) / 64;
      assert.ok(Math.abs(x - Math.cos(angle)) < 1e-14 && Math.abs(y - Math.sin(angle)) < 1e-14, `${at}: ${x} ${y}`);
    }
    assert.deepEqual(direction(0.5), [(1 + direction(1)[0]) / 2, direction(1)[1] / 2]);
  });

  test('grow on all sides, holes inward; a stroke is as wide as it is said', () => {
    assert.deepEqual(
      grown(rectangle(0.2, 0.2, 0.4, 0.4), 0.1).map((value) => value.toFixed(6)),
      rectangle(0.1, 0.1, 0.6, 0.6).map((value) => value.toFixed(6)),
    );
    const hole = [0.2, 0.2, 0.2, 0.6, 0.6, 0.6, 0.6, 0.2];
    assert.ok(Math.abs(areaOf(grown(hole, 0.1)) / 2 + 0.04) < 1e-12);
    assert.ok(Math.abs(Math.abs(areaOf(stroke([0, 0, 1, 0, 1, 1], 0.1)) / 2) - 0.2) < 1e-12);
  });
});
