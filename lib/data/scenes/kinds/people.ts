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

const snowman: Kind = {
  name: 'snowman',
  plural: 'snowmen',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.32, 0.48],
  width: 0.6,
  uses: ['melt in the sun', 'be built of snow'],
  parts: { head: undefined, bucket: undefined, nose: undefined, body: undefined, scarf: undefined, arm: 'arms' },
  draw(pen) {
    const { chance } = pen;
    pen.part('arm', pen.wood).fill(stroke([0.16, -0.5, 0.38, -0.62], 0.03), stroke([-0.16, -0.5, -0.38, -chance.between(0.4, 0.66)], 0.03));
    const body = pen.part('body', { rgb: [238, 242, 248], color: 'white' });
    body.fill(ellipse(0, -0.22, 0.26, 0.22), ellipse(0, -0.5, 0.19, 0.17));
    body.detail(pen.black, ellipse(0, -0.52, 0.02, 0.02, 16), ellipse(0, -0.43, 0.02, 0.02, 16), ellipse(0, -0.3, 0.02, 0.02, 16));
    const head = pen.part('head', { rgb: [240, 244, 250], color: 'white' }).fill(ellipse(0, -0.73, 0.135));
    head.detail(pen.black, ellipse(-0.045, -0.76, 0.017, 0.017, 16), ellipse(0.055, -0.76, 0.017, 0.017, 16));
    pen.part('nose', { rgb: [244, 138, 40], color: 'orange' }).fill([0, -0.74, 0.19, -0.7, 0, -0.69]);
    pen.part('scarf', pen.main).fill(stroke([-0.14, -0.64, 0, -0.61, 0.14, -0.64], 0.07), rectangle(0.05, -0.63, 0.075, 0.2, 0.01));
    pen
      .part('bucket', pen.main)
      .fill([-0.1, -1, 0.1, -1, 0.15, -0.82, -0.15, -0.82])
      .detail(pen.dark, [-0.145, -0.85, 0.145, -0.85, 0.155, -0.815, -0.155, -0.815]);
  },
};

export const people: readonly Kind[] = [person, snowman];
