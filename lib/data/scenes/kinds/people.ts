import type { Ink } from '../pen';
import { ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

const hairs: readonly Ink[] = [{ rgb: [58, 40, 30] }, { rgb: [122, 78, 40] }, { rgb: [222, 184, 98] }, { rgb: [168, 74, 38] }];

const person: Kind = {
  name: 'person',
  plural: 'people',
  group: 'person',
  places: ['ground'],
  settings: 'both',
  height: [0.36, 0.56],
  width: 0.46,
  uses: ['tell you a story', 'read a book'],
  parts: { head: undefined, cap: undefined, hair: undefined, shirt: undefined, trousers: 'trousers', shoe: 'shoes' },
  draw(pen) {
    const { chance } = pen;
    const wide = chance.between(0.1, 0.13);
    const step = chance.between(0.02, 0.08);
    const trousers = pen.part('trousers', pen.accent);
    const shoes = pen.part('shoe', chance.is(0.5) ? pen.black : pen.wood);
    shoes.fill(
      rectangle(-wide * 0.5 - step - 0.05, -0.05, 0.12, 0.055, 0.025),
      rectangle(wide * 0.5 + step - 0.05, -0.05, 0.12, 0.055, 0.025),
    );
    trousers.fill([
      -wide,
      -0.46,
      wide,
      -0.46,
      wide * 0.55 + step + 0.05,
      -0.04,
      wide * 0.5 + step - 0.05,
      -0.04,
      0,
      -0.38,
      -wide * 0.5 - step + 0.05,
      -0.04,
      -wide * 0.5 - step - 0.05,
      -0.04,
    ]);
    const head = pen.part('head', pen.skin);
    const shirt = pen.part('shirt', pen.main);
    head.fill(rectangle(-0.03, -0.8, 0.06, 0.1));
    const raised = chance.is(0.3);
    const [handX, handY] = raised ? [wide + 0.17, -0.86] : [wide + chance.between(0.04, 0.14), -0.46];
    for (const [x, y, side] of [
      [handX, handY, 1],
      [-wide - chance.between(0.03, 0.12), -0.45, -1],
    ] as const) {
      head.fill(ellipse(x, y, 0.035, 0.035, 16));
      shirt.fill(
        stroke(
          [side * wide * 0.85, -0.69, (x + side * wide) / 2 + side * 0.03, (y - 0.66) / 2, x, y + (y < -0.6 ? 0.03 : -0.03)],
          0.075,
          0.055,
        ),
      );
    }
    shirt.fill(smooth(-wide * 0.6, -0.74, wide * 0.6, -0.74, wide, -0.68, wide * 1.02, -0.44, -wide * 1.02, -0.44, -wide, -0.68));
    const dressed = chance.below(3);
    if (dressed === 1)
      pen
        .part('hair', chance.pick(hairs))
        .fill(smooth(-0.1, -0.98, 0, -1.01, 0.1, -0.98, 0.125, -0.78, 0.07, -0.76, -0.07, -0.76, -0.125, -0.78));
    head.fill(ellipse(0, -0.87, 0.085, 0.1));
    head.detail(pen.black, ellipse(-0.032, -0.875, 0.013, 0.016, 16), ellipse(0.036, -0.875, 0.013, 0.016, 16));
    head.detail({ rgb: [190, 80, 80] }, stroke([-0.025, -0.825, 0.03, -0.825], 0.014));
    if (dressed === 0)
      pen
        .part('cap', chance.is(0.5) ? pen.accent : pen.dark)
        .fill(segment(0, -0.915, 0.092, 0.1, 32, 64), rectangle(-0.14, -0.935, 0.28, 0.03, 0.012));
    else if (dressed === 2) pen.part('hair', chance.pick(hairs)).fill(segment(0, -0.895, 0.1, 0.105, 31, 65));
    else pen.part('hair', chance.pick(hairs)).fill(segment(0, -0.91, 0.095, 0.09, 33, 63));
  },
};

const robot: Kind = {
  name: 'robot',
  places: ['ground'],
  settings: 'both',
  height: [0.3, 0.46],
  width: 0.66,
  uses: ['be charged with electricity', 'be told by a program what to do'],
  parts: { head: undefined, antenna: undefined, arm: 'arms', leg: 'legs', body: undefined, screen: undefined },
  draw(pen) {
    const { chance } = pen;
    const wide = chance.between(0.17, 0.22);
    const head = chance.between(0.13, 0.17);
    pen.part('antenna', pen.metal).fill(stroke([0, -0.86, 0, -0.95], 0.03), ellipse(0, -0.965, 0.035, 0.035, 16));
    const arms = pen.part('arm', pen.metal);
    for (const side of [-1, 1]) {
      const hand = -chance.between(0.22, 0.72);
      arms.fill(stroke([side * wide * 0.9, -0.54, side * (wide + 0.1), (hand - 0.54) / 2, side * (wide + 0.08), hand], 0.065));
      arms.fill(ellipse(side * (wide + 0.08), hand, 0.05, 0.05, 16));
    }
    pen
      .part('leg', pen.dark)
      .fill(rectangle(-wide * 0.75, -0.24, 0.11, 0.24, 0.02), rectangle(wide * 0.75 - 0.11, -0.24, 0.11, 0.24, 0.02));
    pen.part('body', pen.main).fill(rectangle(-wide, -0.62, 2 * wide, 0.42, 0.05));
    const screen = pen.part('screen', pen.accent).fill(rectangle(-wide * 0.6, -0.52, wide * 1.2, 0.16, 0.02));
    screen.detail(pen.white, stroke([-wide * 0.45, -0.44, -wide * 0.1, -0.44, 0, -0.48, wide * 0.12, -0.41, wide * 0.45, -0.44], 0.018));
    const face = pen.part('head', pen.main).fill(rectangle(-head, -0.87, 2 * head, 0.23, 0.06));
    face.detail(pen.white, ellipse(-head * 0.42, -0.78, 0.042, 0.042, 16), ellipse(head * 0.42, -0.78, 0.042, 0.042, 16));
    face.detail(pen.black, ellipse(-head * 0.42, -0.78, 0.02, 0.02, 16), ellipse(head * 0.42, -0.78, 0.02, 0.02, 16));
    face.detail(pen.black, stroke([-head * 0.5, -0.69, head * 0.5, -0.69], 0.022));
  },
};

export const people: readonly Kind[] = [person, robot];
