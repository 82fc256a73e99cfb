import type { Ink, Pen } from '../pen';
import { curve, ellipse, rectangle, segment, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

function wheel(pen: Pen, x: number, radius: number, ink: Ink = pen.black): void {
  const wheelPart = pen.part('wheel', ink).fill(ellipse(x, -radius, radius));
  wheelPart.detail(pen.metal, ellipse(x, -radius, 0.45 * radius, 0.45 * radius, 16));
}

const car: Kind = {
  name: 'car',
  group: 'vehicle',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.2, 0.32],
  width: 2.1,
  uses: ['drive a family to town', 'be parked in a garage'],
  parts: { body: undefined, roof: undefined, window: 'windows', wheel: 'wheels', light: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.92, 1.08);
    const belt = -chance.between(0.56, 0.62);
    const back = -chance.between(0.5, 0.75);
    const front = chance.between(0.35, 0.55);
    const roof = pen.part('roof', chance.is(0.6) ? pen.dark : pen.main);
    roof.fill([back - 0.12, belt + 0.03, back + 0.08, -0.98, front - 0.2, -1, front + 0.08, belt + 0.03]);
    const middle = (back + front) / 2 - 0.05;
    pen.part('window', pen.glass).fill([back + 0.02, belt - 0.03, back + 0.14, -0.9, middle - 0.03, -0.9, middle - 0.03, belt - 0.03]);
    pen.part('window', pen.glass).fill([middle + 0.03, belt - 0.03, middle + 0.03, -0.9, front - 0.24, -0.91, front - 0.02, belt - 0.03]);
    const body = pen.part('body', pen.main);
    body.fill([
      -half + 0.05,
      -0.16,
      -half,
      -0.3,
      -half + 0.03,
      belt + 0.04,
      -half + 0.12,
      belt,
      front,
      belt,
      half - 0.12,
      belt + 0.08,
      half,
      -0.34,
      half - 0.02,
      -0.16,
    ]);
    body.detail(pen.dark, stroke([middle, belt + 0.02, middle, -0.2], 0.018));
    pen.part('light', { rgb: [255, 232, 130], color: 'yellow' }).fill(ellipse(half - 0.08, -0.42, 0.06, 0.07, 16));
    wheel(pen, -half * 0.56, 0.2);
    wheel(pen, half * 0.56, 0.2);
  },
};

const bus: Kind = {
  name: 'bus',
  plural: 'buses',
  group: 'vehicle',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.28, 0.4],
  width: 1.9,
  uses: ['take many people to school', 'be waited for at a stop'],
  parts: { body: undefined, window: 'windows', door: undefined, wheel: 'wheels', light: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.85, 1);
    const body = pen.part('body', pen.main).fill(rectangle(-half, -1, 2 * half, 0.86, 0.1));
    body.detail(pen.dark, rectangle(-half, -0.46, 2 * half, 0.05));
    const count = 3 + chance.below(2);
    const width = (2 * half - 0.5) / count;
    for (let i = 0; i < count; i++)
      pen.part('window', pen.glass).fill(rectangle(-half + 0.08 + i * width, -0.88, width - 0.07, 0.32, 0.03));
    pen
      .part('door', pen.accent)
      .fill(rectangle(half - 0.38, -0.86, 0.25, 0.7, 0.02))
      .detail(pen.glass, rectangle(half - 0.34, -0.8, 0.17, 0.3));
    pen.part('light', { rgb: [255, 232, 130], color: 'yellow' }).fill(ellipse(half - 0.05, -0.3, 0.05, 0.06, 16));
    wheel(pen, -half * 0.58, 0.17);
    wheel(pen, half * 0.5, 0.17);
  },
};

const truck: Kind = {
  name: 'truck',
  group: 'vehicle',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.26, 0.38],
  width: 1.9,
  uses: ['carry heavy loads', 'bring furniture to a new house'],
  parts: { cab: undefined, box: undefined, window: undefined, wheel: 'wheels', light: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.85, 1);
    const wall = half * chance.between(0.3, 0.42);
    pen.part('box', pen.main).fill(rectangle(-half, -1, half + wall - 0.04, 0.8, 0.02));
    const cab = pen.part('cab', pen.accent);
    cab.fill([wall, -0.14, wall, -0.78, wall + 0.06, -0.82, half - 0.2, -0.82, half - 0.04, -0.45, half, -0.42, half, -0.14]);
    pen.part('window', pen.glass).fill([wall + 0.1, -0.48, wall + 0.1, -0.72, half - 0.24, -0.72, half - 0.12, -0.48]);
    pen.part('light', { rgb: [255, 232, 130], color: 'yellow' }).fill(ellipse(half - 0.06, -0.3, 0.05, 0.06, 16));
    wheel(pen, -half * 0.68, 0.17);
    wheel(pen, -half * 0.2, 0.17);
    wheel(pen, half * 0.66, 0.17);
  },
};

const bicycle: Kind = {
  name: 'bicycle',
  group: 'vehicle',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.22, 0.34],
  width: 1.6,
  uses: ['be ridden with pedals', 'be ridden with a helmet on'],
  parts: { wheel: 'wheels', frame: undefined, seat: undefined, handlebar: undefined },
  draw(pen) {
    const { chance } = pen;
    const radius = chance.between(0.3, 0.36);
    const half = chance.between(0.44, 0.52);
    for (const x of [-half, half]) {
      const part = pen.part('wheel', pen.black).ring(ellipse(x, -radius, radius), ellipse(x, -radius, radius - 0.075));
      part.detail(
        pen.metal,
        ellipse(x, -radius, 0.05, 0.05, 16),
        stroke([x, -2 * radius + 0.05, x, -0.05], 0.02),
        stroke([x - radius, -radius, x + radius, -radius], 0.02),
      );
    }
    const [pedal, saddle, head] = [-0.02, -0.17, half - 0.17];
    const frame = pen.part('frame', pen.main);
    frame.fill(
      stroke([-half, -radius, saddle, -0.76, pedal, -radius, -half, -radius], 0.07),
      stroke([saddle, -0.74, head, -0.8], 0.07),
      stroke([pedal, -radius, head, -0.76], 0.07),
      stroke([head - 0.03, -0.88, half, -radius], 0.07),
    );
    pen
      .part('seat', pen.wood)
      .fill(
        stroke([saddle, -0.76, saddle - 0.02, -0.86], 0.05),
        smooth(saddle - 0.16, -0.94, saddle + 0.13, -0.92, saddle + 0.02, -0.84, saddle - 0.14, -0.84),
      );
    pen.part('handlebar', pen.metal).fill(stroke(curve(head - 0.02, -0.84, head - 0.06, -0.98, head + 0.1, -1, head + 0.15, -0.92), 0.07));
  },
};

const boat: Kind = {
  name: 'boat',
  group: 'vehicle',
  places: ['water'],
  settings: 'outdoors',
  height: [0.28, 0.46],
  width: 0.95,
  lean: 1.2,
  uses: ['sail across the sea', 'be pushed along by the wind'],
  parts: { hull: undefined, sail: 'sails', mast: undefined, flag: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(0.42, 0.52);
    pen.part('mast', pen.wood).fill(stroke([0, -0.1, 0, -0.98], 0.035));
    if (chance.is(0.6)) pen.part('flag', pen.accent).fill([0.01, -1, 0.15, -0.95, 0.01, -0.9]);
    pen
      .part('sail', chance.is(0.6) ? pen.white : pen.accent)
      .fill(smooth(0.03, -0.86, 0.24, -0.6, 0.38 + 0.1 * chance.fraction(), -0.27, 0.03, -0.27));
    if (chance.is(0.6)) pen.part('sail', pen.white).fill([-0.03, -0.8, -0.03, -0.27, -0.36, -0.27]);
    pen
      .part('hull', pen.main)
      .fill([-half, -0.22, half, -0.22, half * 0.72, 0, -half * 0.66, 0])
      .detail(pen.dark, [-half * 0.96, -0.19, half * 0.96, -0.19, half * 0.9, -0.14, -half * 0.9, -0.14]);
  },
};

const aeroplane: Kind = {
  name: 'aeroplane',
  group: 'vehicle',
  places: ['sky'],
  settings: 'outdoors',
  height: [0.13, 0.22],
  width: 2.4,
  lean: 3,
  uses: ['fly people to another country', 'land at an airport'],
  parts: { body: undefined, wing: undefined, tail: undefined, window: 'windows', nose: undefined },
  draw(pen) {
    const { chance } = pen;
    const half = chance.between(1.05, 1.2);
    pen.part('tail', pen.accent).fill([-half + 0.02, -0.5, -half - 0.06, -0.98, -half + 0.2, -0.98, -half + 0.5, -0.5]);
    pen
      .part('body', pen.main)
      .fill(smooth(-half, -0.52, -0.5, -0.66, 0.5, -0.66, half - 0.1, -0.5, half, -0.38, half - 0.25, -0.24, 0.3, -0.2, -0.5, -0.26));
    pen.part('nose', pen.dark).fill(smooth(half - 0.32, -0.6, half - 0.1, -0.5, half, -0.38, half - 0.2, -0.24, half - 0.32, -0.23));
    const windows = pen.part('window', pen.glass);
    for (let i = 0; i < 4; i++) windows.fill(ellipse(-0.42 + 0.27 * i, -0.51, 0.075, 0.075, 16));
    pen.part('wing', pen.accent).fill([-0.05, -0.36, 0.36, -0.36, 0, -0.02, -0.28, -0.02]);
  },
};

const balloon: Kind = {
  name: 'balloon',
  group: 'vehicle',
  places: ['sky'],
  settings: 'outdoors',
  height: [0.24, 0.36],
  width: 0.72,
  uses: ['float with hot air', 'rise with a basket below it'],
  parts: { envelope: undefined, basket: undefined, ropes: 'ropes' },
  draw(pen) {
    const wide = pen.chance.between(0.32, 0.38);
    pen
      .part('ropes', pen.black)
      .fill(
        stroke([-wide * 0.42, -0.36, -0.1, -0.14], 0.022),
        stroke([wide * 0.42, -0.36, 0.1, -0.14], 0.022),
        stroke([0, -0.34, 0, -0.14], 0.02),
      );
    const envelope = pen.part('envelope', pen.main);
    envelope.fill(
      smooth(
        0,
        -1,
        wide * 0.75,
        -0.9,
        wide,
        -0.67,
        wide * 0.75,
        -0.45,
        wide * 0.36,
        -0.3,
        -wide * 0.36,
        -0.3,
        -wide * 0.75,
        -0.45,
        -wide,
        -0.67,
        -wide * 0.75,
        -0.9,
      ),
    );
    if (!pen.main.pattern) envelope.detail(pen.accent, segment(0, -0.62, wide * 0.34, 0.37, 0, 64));
    pen.part('basket', pen.wood).fill([-0.12, -0.16, 0.12, -0.16, 0.1, 0, -0.1, 0]);
  },
};

export const vehicles: readonly Kind[] = [car, bus, truck, bicycle, boat, aeroplane, balloon];
