import { ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

const house: Kind = {
  name: 'house',
  group: 'building',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.38, 0.58],
  width: 1,
  uses: ['be a home for a family', 'have people living in it'],
  parts: { wall: undefined, roof: undefined, door: undefined, window: 'windows', chimney: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.36, 0.52);
    const eaves = -chance.between(0.52, 0.62);
    const wall = pen.part('wall', pen.main);
    const roof = pen.part('roof', pen.accent);
    if (chance.is(0.6)) {
      const at = half * chance.pick([-0.6, 0.4]);
      pen.part('chimney', pen.dark).fill(rectangle(at, -0.98, 0.11, 0.4));
    }
    wall.fill(rectangle(-half, eaves, 2 * half, -eaves));
    const over = half + 0.07;
    const ridge = chance.is(0.5) ? 0 : half * 0.5;
    roof.fill([-over, eaves + 0.02, -ridge, -0.97, ridge, -0.97, over, eaves + 0.02]);
    const side = chance.pick([-1, 1]);
    const door = pen.part('door', chance.is(0.5) ? pen.wood : pen.dark);
    const doorLeft = side * half * 0.5 - 0.085;
    door.fill(rectangle(doorLeft, -0.34, 0.17, 0.34, 0.02)).detail(pen.metal, ellipse(doorLeft + 0.135, -0.17, 0.015, 0.015, 16));
    for (const x of chance.is(0.5) ? [-side * half * 0.5] : [-side * half * 0.7, -side * half * 0.15]) {
      const wide = 0.16;
      const round = chance.is(0.2);
      const window = pen.part('window', pen.glass);
      if (round) window.fill(ellipse(x, eaves + 0.2, 0.085));
      else window.fill(rectangle(x - wide / 2, eaves + 0.12, wide, 0.17));
      window.detail(
        pen.white,
        stroke([x, eaves + 0.12, x, eaves + 0.29], 0.018),
        stroke([x - wide / 2, eaves + 0.205, x + wide / 2, eaves + 0.205], 0.018),
      );
    }
  },
};

const lighthouse: Kind = {
  name: 'lighthouse',
  group: 'building',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.45, 0.68],
  width: 0.42,
  uses: ['show ships the way at night', 'warn sailors of the coast'],
  parts: { tower: undefined, light: undefined, roof: undefined, door: undefined, window: 'windows', base: undefined },
  draw(pen) {
    const { chance } = pen;
    const foot = chance.between(0.15, 0.19);
    const tower = pen.part('tower', pen.main);
    tower.fill([-foot, -0.06, -foot * 0.62, -0.74, foot * 0.62, -0.74, foot, -0.06]);
    pen.part('base', pen.metal).fill(rectangle(-foot - 0.05, -0.08, 2 * foot + 0.1, 0.08, 0.02));
    pen.part('door', pen.wood).fill([...segment(0, -0.2, 0.05, 0.06, 32, 64), 0.05, -0.08, -0.05, -0.08]);
    for (const y of [-0.42, -0.6]) pen.part('window', pen.glass).fill(rectangle(-0.03, y, 0.06, 0.075, 0.03));
    const light = pen.part('light', { rgb: [255, 236, 140], color: 'yellow' });
    light.fill(rectangle(-foot * 0.5, -0.86, foot, 0.1));
    light.detail(pen.black, stroke([0, -0.86, 0, -0.76], 0.012), stroke([-foot - 0.005, -0.75, foot + 0.005, -0.75], 0.035));
    pen.part('roof', pen.accent).fill(smooth(-foot * 0.62, -0.86, 0, -1, foot * 0.62, -0.86));
  },
};

const tent: Kind = {
  name: 'tent',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.24, 0.36],
  width: 1.35,
  uses: ['be slept in on a camping trip', 'be carried along and put up for the night'],
  parts: { canvas: undefined, door: undefined, flag: undefined, pole: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.55, 0.7);
    const pole = pen.part('pole', pen.wood);
    pole.fill(stroke([0, -1, 0, -0.7], 0.03));
    if (chance.is(0.7)) pen.part('flag', pen.accent).fill([0.01, -1, 0.26, -0.93, 0.01, -0.86]);
    pen.part('canvas', pen.main).fill([-half, 0, -0.04, -0.82, 0.04, -0.82, half, 0]);
    pen.part('door', pen.dark).fill([-0.2, 0, 0, -0.58, 0.2, 0]);
  },
};

export const buildings: readonly Kind[] = [house, lighthouse, tent];
