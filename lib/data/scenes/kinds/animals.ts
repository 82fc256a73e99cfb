import type { Part, Pen } from '../pen';
import { curve, ellipse, rectangle, smooth, stroke } from '../shapes';
import type { Kind } from './kind';

function eye(pen: Pen, part: Part, x: number, y: number, radius = 0.035): void {
  part.detail(pen.white, ellipse(x, y, radius, radius, 16)).detail(pen.black, ellipse(x + 0.2 * radius, y, 0.6 * radius, 0.6 * radius, 16));
}

const cat: Kind = {
  name: 'cat',
  group: 'animal',
  places: ['ground'],
  settings: 'both',
  height: [0.2, 0.32],
  width: 1,
  uses: ['catch a mouse', 'purr on your lap'],
  parts: { tail: undefined, leg: 'legs', body: undefined, head: undefined, ear: 'ears' },
  draw(pen) {
    const { chance } = pen;
    const up = chance.between(0.75, 1);
    pen.part('tail', pen.dark).fill(stroke(curve(-0.36, -0.36, -0.52, -0.45, -0.5, -up + 0.12, -0.42, -up), 0.1, 0.06));
    const body = pen.part('body', pen.main);
    const legs = pen.part('leg', pen.dark);
    legs.fill(...[-0.3, -0.14, 0.14, 0.28].map((x) => rectangle(x - 0.05, -0.3, 0.1, 0.3, 0.04)));
    body.fill(smooth(-0.42, -0.4, -0.3, -0.56, 0.2, -0.54, 0.36, -0.38, 0.26, -0.2, -0.32, -0.2));
    const [x, y] = [chance.between(0.3, 0.36), -chance.between(0.66, 0.72)];
    pen.part('ear', pen.dark).fill([x - 0.2, y - 0.06, x - 0.17, y - 0.31, x - 0.02, y - 0.14]);
    pen.part('ear', pen.dark).fill([x + 0.2, y - 0.06, x + 0.17, y - 0.31, x + 0.02, y - 0.14]);
    const head = pen.part('head', pen.main).fill(ellipse(x, y, 0.225, 0.19));
    eye(pen, head, x - 0.08, y - 0.03);
    eye(pen, head, x + 0.09, y - 0.03);
    head.detail({ rgb: [240, 140, 150] }, [x - 0.03, y + 0.04, x + 0.04, y + 0.04, x + 0.005, y + 0.08]);
  },
};

const dog: Kind = {
  name: 'dog',
  group: 'animal',
  places: ['ground'],
  settings: 'both',
  height: [0.24, 0.36],
  width: 1.25,
  uses: ['bark at a stranger', 'bring back a stick'],
  parts: { tail: undefined, leg: 'legs', body: undefined, head: undefined, ear: undefined, collar: undefined },
  draw(pen) {
    const { chance } = pen;
    pen.part('tail', pen.main).fill(stroke(curve(-0.46, -0.58, -0.6, -0.7, -0.62, -0.92), 0.1, 0.05));
    pen.part('leg', pen.dark).fill(...[-0.42, -0.24, 0.16, 0.34].map((x) => rectangle(x - 0.055, -0.42, 0.11, 0.42, 0.03)));
    pen.part('body', pen.main).fill(smooth(-0.52, -0.56, -0.36, -0.7, 0.3, -0.7, 0.46, -0.58, 0.36, -0.3, -0.42, -0.32));
    const head = pen.part('head', pen.main);
    head.fill(smooth(0.28, -0.9, 0.46, -1, 0.6, -0.93, 0.78, -0.82, 0.82, -0.7, 0.66, -0.64, 0.46, -0.62, 0.3, -0.7));
    head.detail(pen.black, ellipse(0.8, -0.78, 0.045, 0.04, 16));
    eye(pen, head, 0.55, -0.86);
    if (chance.is(0.6)) pen.part('collar', pen.accent).fill(stroke([0.3, -0.78, 0.38, -0.62, 0.5, -0.58], 0.075));
    pen.part('ear', pen.dark).fill(smooth(0.34, -0.98, 0.42, -0.9, 0.4, -0.66, 0.28, -0.64, 0.24, -0.82));
  },
};

const bird: Kind = {
  name: 'bird',
  group: 'animal',
  places: ['sky', 'ground'],
  settings: 'outdoors',
  height: [0.12, 0.2],
  width: 1.35,
  lean: 2,
  uses: ['sing in the morning', 'build a nest'],
  parts: { tail: undefined, body: undefined, wing: undefined, beak: undefined, leg: 'legs' },
  draw(pen) {
    pen.part('tail', pen.dark).fill([-0.3, -0.5, -0.72, -0.62, -0.68, -0.36, -0.3, -0.34]);
    pen.part('leg', pen.black).fill(stroke([-0.02, -0.24, -0.04, 0], 0.05), stroke([0.12, -0.24, 0.12, 0], 0.05));
    pen.part('beak', { rgb: [246, 160, 40], color: 'orange' }).fill([0.52, -0.82, 0.78, -0.7, 0.52, -0.62]);
    const body = pen
      .part('body', pen.main)
      .fill(smooth(-0.4, -0.44, -0.1, -0.66, 0.16, -0.88, 0.4, -0.96, 0.58, -0.82, 0.54, -0.58, 0.34, -0.28, 0, -0.18, -0.28, -0.26));
    eye(pen, body, 0.42, -0.78, 0.06);
    const raised = pen.chance.is(0.5);
    pen
      .part('wing', pen.dark)
      .fill(
        raised ? smooth(-0.16, -0.5, -0.42, -1, 0.02, -0.86, 0.22, -0.52) : smooth(0.22, -0.58, 0.02, -0.62, -0.36, -0.4, -0.02, -0.32),
      );
  },
};

const fish: Kind = {
  name: 'fish',
  plural: 'fish',
  group: 'animal',
  places: ['water'],
  settings: 'outdoors',
  height: [0.13, 0.22],
  width: 1.7,
  lean: 2,
  uses: ['breathe under water', 'swim with fins'],
  parts: { tail: undefined, body: undefined, fin: 'fins' },
  draw(pen) {
    const { chance } = pen;
    pen.part('tail', pen.accent).fill([-0.42, -0.5, -0.84, -0.88, -0.74, -0.5, -0.84, -0.12]);
    pen.part('fin', pen.accent).fill(smooth(-0.26, -0.74, -0.06, -1, 0.26, -0.86, 0.2, -0.68));
    const round = chance.between(0.32, 0.4);
    const body = pen
      .part('body', pen.main)
      .fill(smooth(-0.52, -0.5, -0.1, -0.5 - round, 0.44, -0.5 - round * 0.8, 0.78, -0.48, 0.44, -0.5 + round * 0.8, -0.1, -0.5 + round));
    eye(pen, body, 0.5, -0.56, 0.075);
    pen.part('fin', pen.dark).fill([0.1, -0.46, -0.22, -0.32, 0.04, -0.24]);
  },
};

const turtle: Kind = {
  name: 'turtle',
  group: 'animal',
  places: ['ground'],
  settings: 'outdoors',
  height: [0.15, 0.24],
  width: 1.6,
  uses: ['hide in its shell', 'live to be a hundred years old'],
  parts: { shell: undefined, head: undefined, leg: 'legs', tail: undefined },
  draw(pen) {
    const high = pen.chance.between(0.72, 0.8);
    pen.part('tail', pen.leaf).fill([-0.56, -0.3, -0.82, -0.12, -0.54, -0.14]);
    pen.part('leg', pen.leaf).fill(rectangle(-0.48, -0.24, 0.2, 0.24, 0.06), rectangle(0.24, -0.24, 0.2, 0.24, 0.06));
    const head = pen.part('head', pen.leaf).fill(stroke([0.4, -0.26, 0.66, -0.5], 0.2), ellipse(0.72, -0.56, 0.19, 0.165));
    eye(pen, head, 0.78, -0.61, 0.055);
    pen.part('shell', pen.main).fill(smooth(-0.62, -0.2, -0.48, -0.66, 0, -high - 0.18, 0.42, -0.66, 0.54, -0.2, 0, -0.14));
  },
};

const rabbit: Kind = {
  name: 'rabbit',
  group: 'animal',
  places: ['ground'],
  settings: 'both',
  height: [0.2, 0.3],
  width: 0.8,
  uses: ['hop through the grass', 'eat carrots'],
  parts: { ear: 'ears', head: undefined, body: undefined, tail: undefined, leg: 'legs' },
  draw(pen) {
    const { chance } = pen;
    pen.part('tail', pen.white).fill(ellipse(-0.37, -0.17, 0.1));
    pen.part('body', pen.main).fill(smooth(-0.36, -0.14, -0.3, -0.4, -0.04, -0.54, 0.22, -0.44, 0.28, -0.16, 0.2, -0.03, -0.24, -0.02));
    pen.part('leg', pen.dark).fill(ellipse(-0.12, -0.07, 0.2, 0.08), ellipse(0.22, -0.06, 0.12, 0.06));
    const lean = chance.between(-0.06, 0.06);
    for (const x of [0.08, 0.24]) {
      const ear = pen
        .part('ear', pen.main)
        .fill(smooth(x - 0.06, -0.7, x - 0.08 + lean, -0.9, x + lean, -1.02, x + 0.08 + lean, -0.9, x + 0.06, -0.7));
      ear.detail({ rgb: [246, 176, 184] }, ellipse(x + 0.6 * lean, -0.86, 0.03, 0.1, 16));
    }
    const head = pen.part('head', pen.main).fill(ellipse(0.17, -0.57, 0.2, 0.175));
    eye(pen, head, 0.26, -0.61, 0.038);
    head.detail({ rgb: [240, 140, 150] }, ellipse(0.35, -0.55, 0.024, 0.02, 16));
  },
};

export const animals: readonly Kind[] = [cat, dog, bird, fish, turtle, rabbit];
