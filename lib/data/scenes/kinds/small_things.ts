import { curve, ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

const cup: Kind = {
  name: 'cup',
  places: ['top', 'ground'],
  settings: 'indoors',
  height: [0.14, 0.22],
  width: 1.1,
  uses: ['hold hot tea', 'be drunk from'],
  parts: { bowl: undefined, handle: undefined, rim: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.34, 0.44);
    const slim = wide * pen.chance.between(0.6, 0.95);
    pen.part('handle', pen.dark).fill(stroke(curve(wide * 0.85, -0.76, wide + 0.27, -0.74, wide + 0.22, -0.34, wide * 0.8, -0.24), 0.13));
    pen
      .part('bowl', pen.main)
      .fill(
        smooth(-wide, -0.9, wide, -0.9, wide * 0.98, -0.5, slim, -0.08, slim * 0.5, 0, -slim * 0.5, 0, -slim, -0.08, -wide * 0.98, -0.5),
      );
    pen.part('rim', pen.white).fill(ellipse(0, -0.89, wide, 0.1));
  },
};

const bottle: Kind = {
  name: 'bottle',
  places: ['top', 'ground'],
  settings: 'indoors',
  height: [0.22, 0.32],
  width: 0.4,
  uses: ['be closed with a cap and carried', 'keep juice fresh for later'],
  parts: { body: undefined, cap: undefined, label: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.14, 0.18);
    pen
      .part('body', pen.main)
      .fill([
        -wide,
        -0.02,
        -wide,
        -0.54,
        ...segment(0, -0.56, wide, 0.16, 34, 40),
        -0.055,
        -0.74,
        -0.055,
        -0.9,
        0.055,
        -0.9,
        0.055,
        -0.74,
        ...segment(0, -0.56, wide, 0.16, 56, 62),
        wide,
        -0.54,
        wide,
        -0.02,
        wide - 0.03,
        0,
        -wide + 0.03,
        0,
      ]);
    pen
      .part('label', pen.white)
      .fill(rectangle(-wide, -0.44, 2 * wide, 0.24))
      .detail(pen.accent, ellipse(0, -0.32, 0.06, 0.06, 16));
    pen.part('cap', pen.accent).fill(rectangle(-0.07, -1, 0.14, 0.12, 0.015));
  },
};

const teapot: Kind = {
  name: 'teapot',
  places: ['top', 'ground'],
  settings: 'indoors',
  height: [0.16, 0.25],
  width: 1.5,
  uses: ['pour out tea', 'keep tea warm for the guests'],
  parts: { body: undefined, lid: undefined, spout: undefined, handle: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.4, 0.48);
    pen
      .part('handle', pen.dark)
      .fill(stroke(curve(-wide * 0.8, -0.68, -wide - 0.28, -0.72, -wide - 0.26, -0.24, -wide * 0.75, -0.2), 0.11));
    pen
      .part('spout', pen.accent)
      .fill([wide * 0.7, -0.5, wide + 0.14, -0.54, wide + 0.2, -0.8, wide + 0.34, -0.8, wide + 0.26, -0.44, wide * 0.7, -0.14]);
    pen
      .part('body', pen.main)
      .fill(smooth(-wide, -0.4, -wide * 0.7, -0.72, 0, -0.8, wide * 0.7, -0.72, wide, -0.4, wide * 0.66, -0.04, 0, 0, -wide * 0.66, -0.04));
    pen.part('lid', pen.dark).fill(segment(0, -0.74, wide * 0.6, 0.14, 32, 64), ellipse(0, -0.92, 0.08, 0.08, 16));
  },
};

const book: Kind = {
  name: 'book',
  places: ['top', 'ground'],
  settings: 'indoors',
  height: [0.16, 0.26],
  width: 0.8,
  uses: ['be read before going to sleep', 'be borrowed from a library'],
  parts: { cover: undefined, pages: 'pages', title: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.3, 0.38);
    pen
      .part('pages', pen.white)
      .fill([wide - 0.06, -0.96, wide + 0.08, -0.9, wide + 0.08, -0.02, wide - 0.06, 0])
      .detail(pen.metal, stroke([wide + 0.03, -0.9, wide + 0.03, -0.02], 0.02));
    pen
      .part('cover', pen.main)
      .fill(rectangle(-wide, -1, 2 * wide, 1, 0.02))
      .detail(pen.dark, rectangle(-wide, -1, 0.09, 1));
    pen.part('title', pen.accent).fill(rectangle(-wide * 0.45, -0.82, wide * 1.15, 0.24, 0.02));
  },
};

const hat: Kind = {
  name: 'hat',
  group: 'piece of clothing',
  places: ['top', 'ground'],
  settings: 'both',
  height: [0.13, 0.2],
  width: 1.7,
  uses: ['be worn on the head', 'keep the sun off your face'],
  parts: { crown: undefined, brim: undefined, band: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.36, 0.46);
    pen.part('brim', pen.dark).fill(ellipse(0, -0.16, wide * 1.8, 0.155));
    pen.part('crown', pen.main).fill(smooth(-wide, -0.18, -wide * 0.85, -0.84, 0, -0.99, wide * 0.85, -0.84, wide, -0.18, 0, -0.1));
    pen.part('band', pen.accent).fill(stroke([-wide * 1.02, -0.32, 0, -0.22, wide * 1.02, -0.32], 0.2));
  },
};

const umbrella: Kind = {
  name: 'umbrella',
  places: ['ground'],
  settings: 'both',
  height: [0.26, 0.42],
  width: 1,
  lean: 3,
  uses: ['keep you dry in the rain', 'be opened when it rains'],
  parts: { canopy: undefined, pole: undefined, handle: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.44, 0.52);
    pen.part('pole', pen.metal).fill(stroke([0, -0.18, 0, -1.02], 0.035));
    pen
      .part('canopy', pen.main)
      .fill([
        ...segment(0, -0.52, wide, 0.44, 32, 64),
        wide * 0.66,
        -0.57,
        wide * 0.34,
        -0.52,
        0,
        -0.57,
        -wide * 0.34,
        -0.52,
        -wide * 0.66,
        -0.57,
      ]);
    pen.part('handle', pen.wood).fill(stroke(curve(0, -0.22, 0, -0.06, 0.09, -0.02, 0.15, -0.1), 0.065));
  },
};

const ball: Kind = {
  name: 'ball',
  group: 'toy',
  places: ['ground'],
  settings: 'both',
  height: [0.11, 0.2],
  width: 1,
  uses: ['be kicked into a goal', 'bounce'],
  parts: { skin: undefined, stripe: undefined },
  draw(pen) {
    pen.part('skin', pen.main).fill(ellipse(0, -0.5, 0.5));
    const tilt = pen.chance.between(-0.16, 0.16);
    pen
      .part('stripe', pen.accent)
      .fill(
        smooth(
          -0.48,
          -0.52 - tilt,
          -0.2,
          -0.64 - tilt,
          0.2,
          -0.66 + tilt,
          0.48,
          -0.56 + tilt,
          0.48,
          -0.42 + tilt,
          0.2,
          -0.46 + tilt,
          -0.2,
          -0.4 - tilt,
          -0.47,
          -0.38 - tilt,
        ),
      );
  },
};

const kite: Kind = {
  name: 'kite',
  group: 'toy',
  places: ['sky'],
  settings: 'outdoors',
  height: [0.24, 0.36],
  width: 0.66,
  lean: 5,
  uses: ['be held by a string in the wind', 'be flown on a windy day'],
  parts: { sail: undefined, tail: undefined, cross: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.27, 0.34);
    const sway = pen.chance.between(-0.12, 0.12);
    pen
      .part('tail', pen.accent)
      .fill(
        stroke(curve(0, -0.36, sway, -0.26, -sway, -0.14, sway, 0), 0.035),
        ellipse(sway * 0.9, -0.24, 0.05, 0.03, 16),
        ellipse(-sway * 0.9, -0.13, 0.05, 0.03, 16),
        ellipse(sway, -0.01, 0.05, 0.03, 16),
      );
    pen.part('sail', pen.main).fill([0, -1, wide, -0.74, 0, -0.34, -wide, -0.74]);
    pen.part('cross', pen.dark).fill(stroke([0, -0.99, 0, -0.36], 0.03), stroke([-wide + 0.02, -0.74, wide - 0.02, -0.74], 0.03));
  },
};

const apple: Kind = {
  name: 'apple',
  group: 'fruit',
  places: ['top', 'ground'],
  settings: 'both',
  height: [0.12, 0.19],
  width: 0.95,
  uses: ['be eaten raw', 'be baked in a pie'],
  parts: { flesh: undefined, stem: undefined, leaf: undefined },
  draw(pen) {
    pen.part('stem', pen.wood).fill(stroke(curve(0, -0.72, 0.02, -0.86, 0.08, -1), 0.07));
    pen.part('leaf', pen.leaf).fill(smooth(0.04, -0.84, 0.22, -1.02, 0.44, -0.98, 0.28, -0.82));
    pen
      .part('flesh', pen.main)
      .fill(
        smooth(
          0,
          -0.74,
          0.22,
          -0.82,
          0.46,
          -0.62,
          0.42,
          -0.26,
          0.2,
          -0.01,
          0,
          -0.05,
          -0.2,
          -0.01,
          -0.42,
          -0.26,
          -0.46,
          -0.62,
          -0.22,
          -0.82,
        ),
      )
      .detail({ rgb: [255, 255, 255] }, ellipse(-0.22, -0.58, 0.06, 0.09, 16));
  },
};

const bag: Kind = {
  name: 'bag',
  places: ['ground', 'top'],
  settings: 'both',
  height: [0.18, 0.28],
  width: 0.85,
  uses: ['carry your shopping home', 'hold your books on the way to school'],
  parts: { body: undefined, handle: undefined, pocket: undefined, flap: undefined },
  draw(pen) {
    const wide = pen.chance.between(0.34, 0.42);
    pen
      .part('handle', pen.wood)
      .fill(stroke(curve(-wide * 0.55, -0.6, -wide * 0.45, -0.92, 0, -0.97, wide * 0.45, -0.92, wide * 0.55, -0.6), 0.08));
    pen.part('body', pen.main).fill([-wide * 0.85, -0.66, wide * 0.85, -0.66, wide, -0.04, wide - 0.04, 0, -wide + 0.04, 0, -wide, -0.04]);
    if (pen.chance.is(0.5))
      pen.part('flap', pen.dark).fill(smooth(-wide * 0.88, -0.68, wide * 0.88, -0.68, wide * 0.7, -0.46, 0, -0.38, -wide * 0.7, -0.46));
    pen.part('pocket', pen.accent).fill(rectangle(-wide * 0.5, -0.32, wide, 0.24, 0.04));
  },
};

export const smallThings: readonly Kind[] = [cup, bottle, teapot, book, hat, umbrella, ball, kite, apple, bag];
