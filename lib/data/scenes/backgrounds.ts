/** What stands behind the things: regions that cover the picture, by setting. */
import type { Pattern, Rgb, Shape } from './canvas';
import type { Chance } from './chance';
import { type ColorName, lighter } from './colors';
import { curve, ellipse, type Outline, rectangle, segment, stroke } from './shapes';

export interface Background {
  /** `meadow`: one says `in a meadow`. */
  readonly setting: SettingName;
  readonly isIndoors: boolean;
  /** Label of a region: its place here. */
  readonly regions: readonly { readonly name: RegionName; readonly color?: ColorName }[];
  readonly shapes: readonly Shape[];
  /** Where things stand: from the far to the near end. */
  readonly ground: readonly [top: number, bottom: number];
  readonly water?: readonly [top: number, bottom: number];
}

export const regionNames = [
  'sky',
  'cloud',
  'sun',
  'moon',
  'hill',
  'mountain',
  'grass',
  'sand',
  'snow',
  'water',
  'road',
  'wall',
  'floor',
  'carpet',
] as const;
export type RegionName = (typeof regionNames)[number];

export const settingNames = ['meadow', 'beach', 'street', 'snow', 'lake', 'room'] as const;
export type SettingName = (typeof settingNames)[number];

class Painter {
  readonly regions: { name: RegionName; color?: ColorName }[] = [];
  readonly shapes: Shape[] = [];

  /** Paints outlines of a region; a name that was there before is the same region. */
  region(name: RegionName, rgb: Rgb, rings: readonly Outline[], { color, pattern }: { color?: ColorName; pattern?: Pattern } = {}): this {
    let label = this.regions.findIndex((region) => region.name === name);
    if (label < 0) label = this.regions.push({ name, color }) - 1;
    this.shapes.push({ rings, label, paint: { rgb, pattern } });
    return this;
  }

  /** Paints over what is there, which stays what it is. */
  over(rgb: Rgb, opacity: number, ring: Outline, pattern?: Pattern): this {
    this.shapes.push({ rings: [ring], paint: { rgb, opacity, pattern } });
    return this;
  }
}

const below = (y: number) => rectangle(0, y, 1, 1 - y + 0.01);
const fade = (rgb: Rgb, y: number, cell: number): Pattern => ({ type: 'gradient', rgb, x: 0, y, cell });

const skies: readonly { top: Rgb; low: Rgb; color?: ColorName; night?: boolean }[] = [
  { top: [92, 164, 232], low: [206, 232, 250], color: 'blue' },
  { top: [124, 188, 240], low: [232, 242, 248], color: 'blue' },
  { top: [70, 130, 214], low: [170, 212, 244], color: 'blue' },
  { top: [176, 186, 198], low: [222, 226, 230] },
  { top: [120, 96, 168], low: [250, 182, 128] },
  { top: [246, 168, 120], low: [252, 224, 168], color: 'orange' },
  { top: [24, 28, 62], low: [66, 74, 124], color: 'black', night: true },
];

/** @returns whether it is night. */
function sky(painter: Painter, chance: Chance, horizon: number): boolean {
  const { top, low, color, night = false } = skies[chance.weighted([3, 3, 3, 2, 1, 1, 1.5])] as (typeof skies)[number];
  painter.region('sky', top, [rectangle(0, 0, 1, horizon + 0.05)], { color, pattern: fade(low, 0, horizon) });
  if (night) {
    for (let i = 0; i < 14; i++)
      painter.over([255, 250, 220], 0.8, ellipse(chance.fraction(), chance.fraction() * horizon, 0.004, 0.004, 16));
  }
  if (chance.is(0.45)) {
    const [x, y, radius] = [chance.between(0.1, 0.9), chance.between(0.09, 0.16), chance.between(0.05, 0.08)];
    if (night) painter.region('moon', [240, 238, 214], [ellipse(x, y, radius)], { color: 'white' });
    else {
      painter.over([255, 240, 180], 0.35, ellipse(x, y, radius * 1.45));
      painter.region('sun', [254, 222, 92], [ellipse(x, y, radius)], { color: 'yellow' });
    }
  }
  if (!night && chance.is(0.6)) {
    for (let i = 0; i <= chance.below(3); i++) {
      const [x, y, wide] = [chance.fraction(), chance.between(0.06, horizon * 0.55), chance.between(0.07, 0.13)];
      const rings = [
        ellipse(x, y, wide, wide * 0.34),
        ellipse(x - wide * 0.3, y - wide * 0.24, wide * 0.45, wide * 0.36),
        ellipse(x + wide * 0.32, y - wide * 0.18, wide * 0.4, wide * 0.3),
      ];
      painter.region('cloud', [250, 251, 253], rings, { color: 'white', pattern: fade([214, 222, 234], y - wide * 0.3, wide * 0.7) });
    }
  }
  return night;
}

const dimmed = (rgb: Rgb, night: boolean): Rgb => (night ? [rgb[0] * 0.5, rgb[1] * 0.55, rgb[2] * 0.68] : rgb);

function hills(painter: Painter, chance: Chance, horizon: number, night: boolean): void {
  if (chance.is(0.4)) return;
  if (chance.is(0.4)) {
    const rgb = dimmed([138 + chance.between(-14, 14), 140, 158], night);
    for (let i = 0; i < 2 + chance.below(2); i++) {
      const [x, high, wide] = [chance.fraction(), chance.between(0.14, 0.27), chance.between(0.2, 0.36)];
      const peak = horizon - high;
      painter.region('mountain', rgb, [[x - wide, horizon + 0.02, x, peak, x + wide, horizon + 0.02]], {
        pattern: fade(lighter(rgb, 0.25), peak, high),
      });
      painter.over([248, 250, 252], night ? 0.5 : 0.95, [
        x - wide * 0.24,
        peak + high * 0.24,
        x,
        peak,
        x + wide * 0.24,
        peak + high * 0.24,
        x + wide * 0.1,
        peak + high * 0.18,
        x,
        peak + high * 0.28,
        x - wide * 0.1,
        peak + high * 0.18,
      ]);
    }
    return;
  }
  const line = curve(
    -0.05,
    horizon - chance.between(0, 0.1),
    0.25,
    horizon - chance.between(0.02, 0.13),
    0.55,
    horizon - chance.between(0, 0.1),
    0.8,
    horizon - chance.between(0.02, 0.13),
    1.05,
    horizon - chance.between(0, 0.1),
  );
  const rgb = dimmed([112, 168 + chance.between(-16, 10), 112], night);
  painter.region('hill', rgb, [[...line, 1.05, horizon + 0.03, -0.05, horizon + 0.03]], {
    color: 'green',
    pattern: fade(lighter(rgb, 0.2), horizon - 0.14, 0.16),
  });
}

function grass(painter: Painter, chance: Chance, top: number, night: boolean): void {
  const rgb = dimmed(
    chance.pick<Rgb>([
      [122, 188, 84],
      [104, 172, 78],
      [150, 190, 90],
      [92, 156, 84],
    ]),
    night,
  );
  const edge = curve(
    -0.05,
    top + chance.between(0, 0.02),
    0.3,
    top + chance.between(-0.015, 0.02),
    0.7,
    top + chance.between(-0.015, 0.02),
    1.05,
    top + chance.between(0, 0.02),
  );
  painter.region('grass', rgb, [[...edge, 1.05, 1.01, -0.05, 1.01]], { color: 'green', pattern: fade(lighter(rgb, -0.18), top, 1 - top) });
  const style = chance.below(3);
  if (style > 0)
    painter.over(lighter(rgb, -0.3), style === 1 ? 0.6 : 0.35, below(top + 0.03), {
      type: style === 1 ? 'tufts' : 'noise',
      rgb,
      x: 0,
      y: top,
      cell: style === 1 ? 0.05 : 0.09,
    });
}

function meadow(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const horizon = chance.between(0.38, 0.56);
  const night = sky(painter, chance, horizon);
  hills(painter, chance, horizon, night);
  grass(painter, chance, horizon, night);
  return { setting: 'meadow', isIndoors: false, ground: [horizon + 0.07, 0.98] };
}

const waters: readonly Rgb[] = [
  [66, 146, 202],
  [80, 170, 190],
  [58, 118, 178],
];

function water(painter: Painter, chance: Chance, top: number, bottom: number, night: boolean): void {
  const rgb = dimmed(chance.pick(waters), night);
  painter.region('water', lighter(rgb, 0.25), [rectangle(-0.01, top, 1.02, bottom - top + 0.02)], {
    color: 'blue',
    pattern: fade(rgb, top, bottom - top),
  });
  painter.over(lighter(rgb, 0.5), 0.5, rectangle(0, top, 1, bottom - top), {
    type: 'waves',
    rgb,
    x: chance.fraction(),
    y: top,
    cell: chance.between(0.04, 0.06),
  });
}

function beach(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const horizon = chance.between(0.34, 0.46);
  const shore = horizon + chance.between(0.22, 0.3);
  const night = sky(painter, chance, horizon);
  water(painter, chance, horizon, shore + 0.03, night);
  const rgb = dimmed(
    chance.pick<Rgb>([
      [236, 214, 160],
      [228, 200, 150],
      [242, 224, 184],
    ]),
    night,
  );
  const edge = curve(-0.05, shore, 0.3, shore + chance.between(-0.02, 0.03), 0.7, shore + chance.between(-0.02, 0.03), 1.05, shore);
  painter.over([250, 252, 252], 0.7, stroke(edge, 0.025));
  painter.region('sand', rgb, [[...edge, 1.05, 1.01, -0.05, 1.01]], {
    pattern: { type: 'noise', rgb: lighter(rgb, -0.12), x: 0, y: 0, cell: 0.04 },
  });
  return { setting: 'beach', isIndoors: false, ground: [shore + 0.08, 0.98], water: [horizon + 0.07, shore - 0.01] };
}

function lake(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const horizon = chance.between(0.34, 0.46);
  const night = sky(painter, chance, horizon);
  hills(painter, chance, horizon, night);
  grass(painter, chance, horizon, night);
  const shore = horizon + chance.between(0.2, 0.28);
  water(painter, chance, shore, 1, night);
  return { setting: 'lake', isIndoors: false, ground: [horizon + 0.06, shore - 0.01], water: [shore + 0.14, 0.96] };
}

function street(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const horizon = chance.between(0.4, 0.52);
  const night = sky(painter, chance, horizon);
  hills(painter, chance, horizon, night);
  grass(painter, chance, horizon, night);
  const top = horizon + chance.between(0.14, 0.22);
  const bottom = Math.min(1.01, top + chance.between(0.24, 0.34));
  const rgb = dimmed(lighter([116, 118, 124], chance.between(-0.15, 0.15)), night);
  painter.region('road', rgb, [rectangle(-0.01, top, 1.02, bottom - top)], { pattern: fade(lighter(rgb, -0.15), top, bottom - top) });
  const middle = (top + bottom) / 2;
  for (let x = -0.1 * chance.fraction(); x < 1; x += 0.2) painter.over([240, 236, 214], 0.85, rectangle(x, middle - 0.008, 0.1, 0.016));
  painter.over(lighter(rgb, 0.4), 0.8, rectangle(0, top, 1, 0.012));
  return { setting: 'street', isIndoors: false, ground: [horizon + 0.09, 0.97] };
}

function snow(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const horizon = chance.between(0.38, 0.54);
  const night = sky(painter, chance, horizon);
  hills(painter, chance, horizon, night);
  const rgb = dimmed([236, 241, 248], night);
  const edge = curve(-0.05, horizon, 0.3, horizon + chance.between(-0.03, 0.03), 0.7, horizon + chance.between(-0.03, 0.03), 1.05, horizon);
  painter.region('snow', rgb, [[...edge, 1.05, 1.01, -0.05, 1.01]], {
    color: 'white',
    pattern: fade(lighter(rgb, -0.12), horizon, 1 - horizon),
  });
  painter.over(lighter(rgb, -0.2), 0.25, below(horizon + 0.04), { type: 'noise', rgb, x: 0, y: 0, cell: 0.12 });
  return { setting: 'snow', isIndoors: false, ground: [horizon + 0.07, 0.98] };
}

const walls: readonly { rgb: Rgb; color?: ColorName }[] = [
  { rgb: [238, 226, 200] },
  { rgb: [206, 224, 214] },
  { rgb: [212, 220, 238] },
  { rgb: [244, 218, 212], color: 'pink' },
  { rgb: [232, 232, 228], color: 'white' },
  { rgb: [186, 204, 214] },
  { rgb: [226, 206, 232] },
];

function room(painter: Painter, chance: Chance): Omit<Background, 'regions' | 'shapes'> {
  const edge = chance.between(0.5, 0.66);
  const { rgb: wall, color } = chance.pick(walls);
  painter.region('wall', lighter(wall, 0.15), [rectangle(0, 0, 1, edge)], { color, pattern: fade(lighter(wall, -0.06), 0, edge) });
  const paper = chance.below(5);
  const papers = [undefined, 'striped', 'dotted', 'bricks', 'noise'] as const;
  const type = papers[paper];
  if (type)
    painter.over(lighter(wall, -0.2), type === 'bricks' ? 0.5 : 0.35, rectangle(0, 0, 1, edge), {
      type,
      rgb: lighter(wall, 0.1),
      x: 0,
      y: 0,
      cell: type === 'striped' ? 0.12 : 0.08,
      across: 'x',
    });
  const floor = chance.pick<Rgb>([
    [186, 140, 92],
    [160, 112, 72],
    [206, 184, 150],
    [168, 168, 170],
  ]);
  painter.region('floor', lighter(floor, 0.12), [below(edge)], { pattern: fade(lighter(floor, -0.12), edge, 1 - edge) });
  painter.over(
    lighter(floor, -0.3),
    0.5,
    below(edge),
    chance.is(0.65)
      ? { type: 'planks', rgb: floor, x: chance.fraction(), y: edge, cell: 0.075 }
      : { type: 'checked', rgb: lighter(floor, 0.2), x: 0, y: edge, cell: 0.1 },
  );
  painter.over([250, 248, 242], 0.9, rectangle(0, edge - 0.022, 1, 0.022));
  if (chance.is(0.35)) {
    const [x, y, wide] = [chance.between(0.3, 0.7), chance.between(0.82, 0.9), chance.between(0.24, 0.36)];
    const carpet = chance.pick<{ rgb: Rgb; color: ColorName }>([
      { rgb: [176, 70, 66], color: 'red' },
      { rgb: [78, 110, 170], color: 'blue' },
      { rgb: [96, 146, 104], color: 'green' },
    ]);
    const round = chance.is(0.5);
    painter.region(
      'carpet',
      carpet.rgb,
      [round ? ellipse(x, y, wide, 0.1) : [x - wide * 0.85, y - 0.09, x + wide * 0.85, y - 0.09, x + wide, y + 0.09, x - wide, y + 0.09]],
      { color: carpet.color },
    );
    painter.over(
      lighter(carpet.rgb, 0.35),
      0.8,
      round
        ? segment(x, y, wide * 0.75, 0.07, 0, 64)
        : [x - wide * 0.7, y - 0.06, x + wide * 0.7, y - 0.06, x + wide * 0.8, y + 0.06, x - wide * 0.8, y + 0.06],
    );
    painter.over(
      carpet.rgb,
      1,
      round
        ? ellipse(x, y, wide * 0.66, 0.058)
        : [x - wide * 0.66, y - 0.048, x + wide * 0.66, y - 0.048, x + wide * 0.74, y + 0.048, x - wide * 0.74, y + 0.048],
    );
  }
  return { setting: 'room', isIndoors: true, ground: [edge + 0.09, 0.98] };
}

const painters = { meadow, beach, street, snow, lake, room } satisfies Record<SettingName, unknown>;

export function paintBackground(chance: Chance): Background {
  const painter = new Painter();
  const name = settingNames[chance.weighted([1.4, 1, 1, 0.7, 0.8, 2.6])] as SettingName;
  const where = painters[name](painter, chance);
  return { ...where, regions: painter.regions, shapes: painter.shapes };
}
