import { ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

const table: Kind = {
  name: 'table',
  group: 'piece of furniture',
  places: ['ground'],
  settings: 'indoors',
  height: [0.26, 0.36],
  width: 1.7,
  uses: ['have a dinner set on it', 'be sat at for a meal'],
  parts: { top: undefined, leg: 'legs', drawer: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.72, 0.9);
    const inset = chance.between(0.06, 0.16);
    pen.part('leg', pen.dark).fill(rectangle(-half + inset, -0.9, 0.11, 0.9), rectangle(half - inset - 0.11, -0.9, 0.11, 0.9));
    if (chance.is(0.4))
      pen
        .part('drawer', pen.wood)
        .fill(rectangle(-0.26, -0.9, 0.52, 0.2))
        .detail(pen.metal, ellipse(0, -0.78, 0.03, 0.03, 16));
    pen.part('top', pen.main).fill([-half + 0.1, -1, half - 0.1, -1, half, -0.86, -half, -0.86]);
    pen.surface = { y: -0.94, left: -half + 0.14, right: half - 0.14 };
  },
};

const chair: Kind = {
  name: 'chair',
  group: 'piece of furniture',
  places: ['ground'],
  settings: 'indoors',
  height: [0.3, 0.42],
  width: 0.62,
  uses: ['be sat on by one person at a table', 'be a seat for one'],
  parts: { back: undefined, seat: undefined, leg: 'legs' },
  draw(pen) {
    const wide = pen.chance.between(0.2, 0.26);
    pen
      .part('leg', pen.wood)
      .fill(
        rectangle(-wide, -0.5, 0.07, 0.5),
        rectangle(wide - 0.07, -0.5, 0.07, 0.5),
        rectangle(-wide + 0.1, -0.5, 0.055, 0.42),
        rectangle(wide - 0.155, -0.5, 0.055, 0.42),
      );
    const back = pen.part('back', pen.main);
    if (pen.chance.is(0.5)) back.fill(rectangle(-wide, -1, 2 * wide, 0.5, 0.05));
    else
      back.fill(
        rectangle(-wide, -1, 0.08, 0.52),
        rectangle(wide - 0.08, -1, 0.08, 0.52),
        rectangle(-wide, -1, 2 * wide, 0.14, 0.04),
        rectangle(-wide, -0.76, 2 * wide, 0.1),
      );
    pen.part('seat', pen.dark).fill([-wide, -0.54, wide, -0.54, wide + 0.05, -0.42, -wide - 0.05, -0.42]);
  },
};

const sofa: Kind = {
  name: 'sofa',
  group: 'piece of furniture',
  places: ['ground'],
  settings: 'indoors',
  height: [0.26, 0.36],
  width: 2,
  uses: ['be a soft seat for three people', 'be napped on in the afternoon'],
  parts: { back: undefined, seat: undefined, arm: 'arms', cushion: 'cushions', leg: 'legs' },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.8, 0.98);
    pen.part('leg', pen.wood).fill(rectangle(-half + 0.06, -0.12, 0.09, 0.12), rectangle(half - 0.15, -0.12, 0.09, 0.12));
    pen.part('back', pen.main).fill(rectangle(-half + 0.06, -1, 2 * half - 0.12, 0.7, 0.14));
    pen.part('seat', pen.dark).fill(rectangle(-half + 0.06, -0.46, 2 * half - 0.12, 0.37, 0.05));
    for (const x of chance.is(0.5) ? [-0.4] : [-0.44, 0.44])
      pen.part('cushion', pen.accent).fill(smooth(x - 0.18, -0.76, x + 0.18, -0.74, x + 0.17, -0.42, x - 0.17, -0.43));
    pen.part('arm', pen.main).fill(rectangle(-half - 0.04, -0.68, 0.22, 0.6, 0.09));
    pen.part('arm', pen.main).fill(rectangle(half - 0.18, -0.68, 0.22, 0.6, 0.09));
  },
};

const lamp: Kind = {
  name: 'lamp',
  group: 'piece of furniture',
  places: ['ground', 'top'],
  settings: 'indoors',
  height: [0.3, 0.5],
  width: 0.5,
  uses: ['give light to read by', 'be switched on in the dark'],
  parts: { shade: undefined, pole: undefined, base: undefined, bulb: undefined },
  draw(pen) {
    const { chance } = pen;
    const wide = chance.between(0.19, 0.25);
    const low = -chance.between(0.6, 0.68);
    pen.part('pole', pen.metal).fill(stroke([0, -0.04, 0, low - 0.1], 0.045));
    pen.part('base', pen.wood).fill(smooth(-0.16, -0.005, -0.1, -0.07, 0.1, -0.07, 0.16, -0.005));
    pen.part('bulb', { rgb: [255, 240, 150], color: 'yellow' }).fill(ellipse(0, low + 0.02, 0.07, 0.075));
    pen.part('shade', pen.main).fill([-wide, low, -wide * 0.55, -1, wide * 0.55, -1, wide, low]);
  },
};

const clock: Kind = {
  name: 'clock',
  group: 'piece of furniture',
  places: ['top', 'ground'],
  settings: 'indoors',
  height: [0.17, 0.28],
  width: 0.92,
  uses: ['tell you the time', 'wake you in the morning'],
  parts: { rim: undefined, face: undefined, hand: 'hands', foot: 'feet', bell: 'bells' },
  draw(pen) {
    const { chance } = pen;
    pen.part('foot', pen.metal).fill(stroke([-0.22, -0.16, -0.32, 0], 0.09), stroke([0.22, -0.16, 0.32, 0], 0.09));
    if (chance.is(0.6)) pen.part('bell', pen.metal).fill(segment(-0.2, -0.86, 0.16, 0.14, 30, 62), segment(0.2, -0.86, 0.16, 0.14, 34, 66));
    pen.part('rim', pen.main).fill(ellipse(0, -0.47, 0.42));
    pen.part('face', pen.white).fill(ellipse(0, -0.47, 0.32));
    const ends = ellipse(0, -0.47, 0.25, 0.25, 16);
    const [hour, minute] = [2 * chance.below(16), 2 * chance.below(16)];
    const hand = (at: number, share: number) =>
      stroke([0, -0.47, share * (ends[at] as number), -0.47 + share * ((ends[at + 1] as number) + 0.47)], 0.055);
    pen.part('hand', pen.black).fill(hand(hour, 0.65), hand(minute === hour ? (minute + 8) % 32 : minute, 1));
  },
};

const bed: Kind = {
  name: 'bed',
  group: 'piece of furniture',
  places: ['ground'],
  settings: 'indoors',
  height: [0.24, 0.34],
  width: 2,
  uses: ['be slept in every night', 'be made in the morning'],
  parts: { frame: undefined, pillow: undefined, blanket: undefined, mattress: undefined, leg: 'legs' },
  draw(pen) {
    const half = pen.chance.between(0.85, 1);
    pen.part('leg', pen.wood).fill(rectangle(-half, -0.16, 0.1, 0.16), rectangle(half - 0.1, -0.16, 0.1, 0.16));
    pen.part('mattress', pen.white).fill(rectangle(-half + 0.05, -0.52, 2 * half - 0.1, 0.2, 0.05));
    pen
      .part('frame', pen.wood)
      .fill(rectangle(-half, -1, 0.12, 0.9, 0.04), rectangle(half - 0.1, -0.66, 0.1, 0.56, 0.03), rectangle(-half, -0.34, 2 * half, 0.2));
    pen.part('pillow', pen.accent).fill(smooth(-half + 0.15, -0.52, -half + 0.18, -0.72, -half + 0.56, -0.7, -half + 0.6, -0.52));
    pen
      .part('blanket', pen.main)
      .fill(smooth(-half + 0.66, -0.56, 0, -0.66, half - 0.1, -0.56, half - 0.1, -0.24, 0, -0.2, -half + 0.68, -0.24));
  },
};

const guitar: Kind = {
  name: 'guitar',
  places: ['ground'],
  settings: 'indoors',
  height: [0.3, 0.44],
  width: 0.44,
  lean: 3,
  uses: ['make music with six strings', 'be played at a campfire'],
  parts: { body: undefined, neck: undefined, hole: undefined, head: undefined },
  draw(pen) {
    pen
      .part('body', pen.main)
      .fill(
        smooth(
          -0.1,
          -0.5,
          -0.16,
          -0.42,
          -0.12,
          -0.31,
          -0.2,
          -0.16,
          -0.12,
          -0.01,
          0.12,
          -0.01,
          0.2,
          -0.16,
          0.12,
          -0.31,
          0.16,
          -0.42,
          0.1,
          -0.5,
        ),
      );
    pen.part('hole', pen.black).fill(ellipse(0, -0.32, 0.06));
    pen
      .part('neck', pen.wood)
      .fill(rectangle(-0.03, -0.88, 0.06, 0.52))
      .detail(pen.metal, stroke([0, -0.88, 0, -0.12], 0.012));
    pen.part('head', pen.dark).fill([-0.05, -1, 0.05, -1, 0.035, -0.86, -0.035, -0.86]);
  },
};

export const furniture: readonly Kind[] = [table, chair, sofa, lamp, clock, bed, guitar];
