import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { mixed } from '../../lib/train/chance';
import {
  attended,
  boxOf,
  type Chance,
  calledAs,
  cellPlace,
  drawnBox,
  meantBy,
  onMap,
  patchPlace,
  pointOn,
  type Regions,
  thinned,
  wordsAt,
} from '../../lib/train/regions';

const [width, height] = [24, 16];
const image = { data: new Uint8Array(width * height * 3), width, height };

/** Pixels of a rectangle; right and bottom are outside. */
const rectangle = (left: number, top: number, right: number, bottom: number): Uint8Array =>
  Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return Number(x >= left && x < right && y >= top && y < bottom);
  });

const [house, door, tree, otherTree] = [
  rectangle(4, 2, 14, 14),
  rectangle(7, 9, 10, 14),
  rectangle(16, 3, 19, 13),
  rectangle(21, 5, 23, 12),
];
const regions: Regions = { image, masks: [house, door, tree, otherTree], phrases: [[1, 2], [3], [1, 4], [1, 4]] };

function chanceOf(seed: number): Chance {
  let drawn = 0;
  return () => mixed(seed, drawn++) / 2 ** 32;
}

describe('regions', () => {
  test('are asked for by their box, as a hand draws it, and by points on them', () => {
    assert.deepEqual(boxOf(door, width), [7, 9, 9, 13]);
    const chance = chanceOf(1);
    for (let i = 0; i < 50; i++) {
      const drawn = drawnBox(house, width, chance);
      for (const [side, exact] of boxOf(house, width).entries()) assert.ok(Math.abs((drawn[side] as number) - exact) <= 1.1, `${drawn}`);
      const { x, y } = pointOn(door, width, chance);
      assert.equal(door[y * width + x], 1);
    }
  });

  test('mean the whole, a part, a part of that where they lie in one another', () => {
    assert.deepEqual(meantBy(regions, { x: 8, y: 10 }), [house, door, door]);
    assert.deepEqual(meantBy(regions, { x: 5, y: 3 }), [house, house, house]);
  });

  test('with one name are one answer to it', () => {
    assert.equal(calledAs(regions, 0), house);
    assert.deepEqual(
      calledAs(regions, 3),
      tree.map((bit, i) => bit | (otherTree[i] as number)),
    );
  });

  test('are attended to where patches show them, which see the middle square alone', () => {
    const grid = 4; // patches of 4 x 4 pixels, from x = 4 on
    for (let seed = 0; seed < 20; seed++) {
      const weights = attended(door, image, grid, chanceOf(seed)) as Float32Array;
      assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-6);
      for (const [patch, weight] of weights.entries())
        if (weight > 0) assert.ok([8, 9, 12, 13].includes(patch), `patch ${patch} does not show it`);
    }
    assert.equal(attended(otherTree, image, grid, chanceOf(1)), undefined);
    assert.deepEqual(
      patchPlace(image, grid, 0, () => 0),
      { x: 4, y: 0 },
    );
  });

  test('stand on the map of SAM where the picture stands', () => {
    assert.deepEqual(
      cellPlace(image, 6, 7, () => 0.5),
      { x: 6, y: 6 },
    );
    assert.equal(
      cellPlace(image, 6, 30, () => 0.5),
      undefined,
    ); // below the picture
    assert.deepEqual(
      [...onMap(tree, image, 6).keys()].filter((cell) => onMap(tree, image, 6)[cell] === 1),
      [10, 16],
    );
  });

  test('are told by words of theirs, the weightier the likelier, by one word where one mask is and by none where there is none', () => {
    const weights = regions.phrases.map((phrase) => phrase.map((id) => (id === 1 ? 1 / 9 : 1)));
    const chance = chanceOf(2);
    const words = Array.from({ length: 400 }, () => wordsAt(regions, { x: 5, y: 3 }, weights, chance)).flat();
    const ones = words.filter((word) => word === 1).length;
    assert.equal(words.length, 400);
    assert.ok(ones > 15 && ones < 75, `${ones} of 400, expected about 40`);
    assert.ok(words.every((word) => word === 1 || word === 2));
    assert.deepEqual(wordsAt(regions, { x: 0, y: 0 }, weights, chance), []);
    const twice = { ...regions, masks: [...regions.masks, house], phrases: [...regions.phrases, [7]] };
    const both = Array.from({ length: 100 }, () => wordsAt(twice, { x: 5, y: 3 }, [...weights, [1]], chance)).flat();
    const sevens = both.filter((word) => word === 7).length;
    assert.ok(both.length === 400 && sevens > 150 && sevens < 250, `${sevens} of ${both.length}, expected half of 400`);
  });
});

test('labels of one word are thinned to three times the mean, those of rare ones stay', () => {
  let drawn = 0;
  const labels = [...new Array<number>(800).fill(5), ...Array.from({ length: 100 }, (_, i) => 10 + (i % 10))];
  const kept = thinned(labels, () => mixed(1, drawn++) / 2 ** 32);
  const most = (3 * 900) / 11;
  const common = kept.filter((i) => labels[i] === 5).length;
  assert.ok(Math.abs(common - most) < 40, `${common} of the common word, expected about ${most}`);
  assert.deepEqual(
    kept.filter((i) => i >= 800),
    Array.from({ length: 100 }, (_, i) => 800 + i),
  );
  assert.deepEqual(
    thinned([], () => 0),
    [],
  );
});
