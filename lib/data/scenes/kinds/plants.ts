import { ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

const tree: Kind = {
  name: 'tree',
  group: 'plant',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.4, 0.66],
  width: 0.7,
  uses: ['give shade with its leaves', 'be a place for a nest'],
  parts: { trunk: undefined, crown: undefined, fruit: 'fruit' },
  draw(pen) {
    const { chance } = pen;
    const thick = chance.between(0.05, 0.08);
    pen.part('trunk', pen.wood).fill([-thick * 1.4, 0, -thick, -0.5, thick, -0.5, thick * 1.4, 0]);
    const crown = pen.part('crown', pen.main);
    const wide = chance.between(0.28, 0.36);
    const form = chance.below(3);
    if (form === 0)
      crown.fill(
        smooth(-wide * 0.7, -0.36, -wide, -0.55, -wide * 0.8, -0.82, 0, -1, wide * 0.8, -0.84, wide, -0.55, wide * 0.7, -0.36, 0, -0.4),
      );
    else if (form === 1) {
      crown.fill([-wide, -0.26, 0, -0.7, wide, -0.26]);
      crown.fill([-wide * 0.85, -0.48, 0, -0.86, wide * 0.85, -0.48]);
      crown.fill([-wide * 0.62, -0.7, 0, -1, wide * 0.62, -0.7]);
    } else
      crown.fill(
        ellipse(-wide * 0.5, -0.56, wide * 0.58, 0.2),
        ellipse(wide * 0.5, -0.56, wide * 0.58, 0.2),
        ellipse(0, -0.78, wide * 0.72, 0.22),
        ellipse(0, -0.56, wide * 0.5, 0.2),
      );
    if (form !== 1 && chance.is(0.35)) {
      const fruit = pen.part('fruit', pen.accent);
      for (const [x, y] of [
        [-0.55, -0.6],
        [0.1, -0.52],
        [0.55, -0.62],
        [-0.1, -0.78],
      ] as const)
        fruit.fill(ellipse(x * wide, y, 0.042, 0.042, 16));
    }
  },
};

const flower: Kind = {
  name: 'flower',
  group: 'plant',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.2, 0.32],
  width: 0.5,
  lean: 1.5,
  uses: ['smell sweet', 'be visited by bees'],
  parts: { petals: 'petals', centre: undefined, stem: undefined, leaf: 'leaves' },
  draw(pen) {
    const { chance } = pen;
    pen.part('stem', pen.leaf).fill(stroke([0, 0, 0, -0.6], 0.055));
    for (const side of chance.is(0.5) ? [-1, 1] : [1])
      pen.part('leaf', pen.leaf).fill(smooth(0, -0.12, side * 0.14, -0.3, side * 0.3, -0.34, side * 0.2, -0.17));
    const petals = pen.part('petals', pen.main);
    const count = chance.pick([5, 6, 8]);
    const tulip = chance.is(0.25);
    if (tulip) petals.fill(smooth(-0.2, -0.98, -0.1, -0.84, 0, -1, 0.1, -0.84, 0.2, -0.98, 0.22, -0.72, 0, -0.54, -0.22, -0.72));
    else
      for (let i = 0; i < count; i++) {
        const [x, y] = around(i, count);
        petals.fill(ellipse(0.155 * x, -0.74 + 0.155 * y, 0.115, 0.115, 16));
      }
    pen
      .part('centre', { rgb: [250, 206, 62], color: 'yellow' })
      .fill(tulip ? segment(0, -0.84, 0.08, 0.12, 0, 64) : ellipse(0, -0.74, 0.1));
  },
};

/** Point `i` of `count` on a circle, by a table of sixteenths. */
function around(i: number, count: number): [x: number, y: number] {
  const circle = ellipse(0, 0, 1, 1, 64);
  const at = 2 * (Math.round((64 * i) / count) % 64);
  return [circle[at] as number, circle[at + 1] as number];
}

const mushroom: Kind = {
  name: 'mushroom',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.16, 0.26],
  width: 0.9,
  lean: 1.5,
  uses: ['be found under the trees in autumn', 'be put into a soup, if it is not a poisonous one'],
  parts: { cap: undefined, stem: undefined, gills: 'gills' },
  draw(pen) {
    const { chance } = pen;
    const wide = chance.between(0.4, 0.52);
    pen.part('stem', pen.white).fill(smooth(-0.15, 0, -0.11, -0.3, -0.12, -0.5, 0.12, -0.5, 0.11, -0.3, 0.15, 0));
    pen.part('gills', { rgb: [232, 206, 176] }).fill(ellipse(0, -0.46, wide * 0.86, 0.1));
    pen.part('cap', pen.main).fill([...segment(0, -0.46, wide, chance.between(0.44, 0.54), 32, 64)]);
  },
};

const houseplant: Kind = {
  name: 'houseplant',
  group: 'plant',
  places: ['ground', 'top'],
  settings: 'indoors',
  height: [0.22, 0.36],
  width: 0.7,
  uses: ['be watered in its pot', 'make a room green'],
  parts: { pot: undefined, leaf: 'leaves', stem: undefined },
  draw(pen) {
    const { chance } = pen;
    pen.part('stem', pen.dark).fill(stroke([0, -0.3, 0, -0.75], 0.05));
    const count = 3 + chance.below(3);
    const leaf = pen.part('leaf', pen.main);
    for (let i = 0; i < count; i++) {
      const side = i % 2 ? -1 : 1;
      const y = -0.46 - 0.11 * i;
      leaf.fill(smooth(0, y + 0.06, side * 0.16, y - 0.12, side * 0.34, y - 0.16, side * 0.24, y + 0.04));
    }
    leaf.fill(smooth(-0.1, -0.72, 0, -1, 0.1, -0.72));
    pen
      .part('pot', pen.accent)
      .fill([-0.25, -0.38, 0.25, -0.38, 0.18, 0, -0.18, 0])
      .fill(rectangle(-0.27, -0.4, 0.54, 0.09, 0.02));
  },
};

export const plants: readonly Kind[] = [tree, flower, mushroom, houseplant];
