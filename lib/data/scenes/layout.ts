/** What is where in a scene, as outlines: the same at every size. */
import { type Background, paintBackground } from './backgrounds';
import { Canvas, type Paint, type Rgb, type Shape } from './canvas';
import { Chance } from './chance';
import { type ColorName, colorNames, lighter } from './colors';
import { type SceneKey, splitNames } from './key';
import { kinds } from './kinds';
import type { Kind, Place } from './kinds/kind';
import { type Ink, Pen } from './pen';
import { direction, ellipse, grown, type Outline } from './shapes';

export const patternNames = ['striped', 'dotted', 'checked'] as const;
export type PatternName = (typeof patternNames)[number];

/** A thing as it was put into the scene. */
export interface LaidThing {
  readonly kind: Kind;
  readonly color: ColorName;
  readonly pattern?: PatternName;
  readonly pen: Pen;
  /** Of the middle of its foot, in picture widths. */
  readonly x: number;
  readonly y: number;
  /** Its height. */
  readonly height: number;
  readonly isFlipped: boolean;
  /** In 64ths of a turn. */
  readonly lean: number;
  readonly place: Place;
  /** What it stands on. */
  readonly on?: LaidThing;
}

export interface Layout {
  readonly background: Background;
  /** In the order in which they are drawn, the farthest first. Their parts are labelled from `background.regions.length` on, in order. */
  readonly things: readonly LaidThing[];
  readonly shapes: readonly Shape[];
  /** Levels of grain. */
  readonly grain: number;
}

interface Style {
  readonly light: readonly [number, number];
  readonly line: number;
  readonly lineRgb?: Rgb;
  readonly shadow: number;
  readonly grain: number;
}

/** Pixels of a side at which is decided what can be seen. */
const roughSize = 64;
/** Pixels of it, and share of what it would have if nothing stood before it, below which a thing is left out. */
const [leastPixels, leastShare] = [9, 0.35];
const mostTries = 14;
const mostOverlap = 0.34;
/** Of things that look alike: what would seem one thing. */
const mostOverlapOfTwins = 0.08;
/** What hashes are for. */
const forScene = 11;

/** The colour in which a kind is only seen in the split `unseen`: each kind has one, a tenth of all pairs. */
export function heldOutColor({ name }: Pick<Kind, 'name'>): ColorName {
  let sum = 7;
  for (const character of name) sum = (31 * sum + character.charCodeAt(0)) % 9973;
  return colorNames[sum % colorNames.length] as ColorName;
}

const isHeldOut = ({ kind, color }: LaidThing) => color === heldOutColor(kind);

export function layOut({ seed, split, index }: SceneKey): Layout {
  for (let attempt = 0; ; attempt++) {
    const chance = new Chance(forScene, seed, splitNames.indexOf(split), index, attempt);
    const background = paintBackground(chance);
    const style = styleOf(chance, background.setting === 'snow');
    let things: readonly LaidThing[] = populate(background, split === 'unseen', chance);
    for (;;) {
      const layout = { background, things, shapes: shapesOf(background, things, style), grain: style.grain };
      const seen = visibleOf(layout);
      if (seen.length === 0 || (split === 'unseen' && !seen.some(isHeldOut))) break;
      if (seen.length === things.length) return layout;
      things = seen;
    }
  }
}

/** @param isPale - what is white would vanish without a line. */
function styleOf(chance: Chance, isPale: boolean): Style {
  const strength = chance.between(0.06, 0.2);
  const line = chance.weighted([isPale ? 0 : 3, 3, 2]);
  return {
    light: [chance.pick([-1, -0.6, 0.6, 1]) * strength, -chance.between(0.5, 1) * strength],
    line: line === 0 ? 0 : line === 1 ? chance.between(0.003, 0.005) : chance.between(0.006, 0.009),
    lineRgb: chance.is(0.5) ? [38, 34, 44] : undefined,
    shadow: chance.is(0.75) ? chance.between(0.14, 0.32) : 0,
    grain: chance.is(0.4) ? chance.between(2, 12) : 0,
  };
}

function populate(background: Background, unseen: boolean, chance: Chance): LaidThing[] {
  const { isIndoors, water } = background;
  const fits = kinds.filter(({ settings, places }) => {
    if (settings !== 'both' && (settings === 'indoors') !== isIndoors) return false;
    return places.some((place) => place === 'ground' || (place === 'sky' && !isIndoors) || (place === 'water' && water));
  });
  const wanted = 1 + chance.weighted([1, 2, 3, 3, 2.5, 1.5, 1]);
  const things: LaidThing[] = [];
  let last: Kind | undefined;
  for (let i = 0; i < wanted; i++) {
    const kind: Kind =
      last && chance.is(0.34)
        ? last
        : water && chance.is(0.3)
          ? chance.pick(fits.filter(({ places }) => places.includes('water')))
          : chance.pick(fits);
    const color = colorOf(kind, unseen && (things.length === 0 || chance.is(0.5)), chance);
    const thing = place(kind, color, background, things, chance);
    if (!thing) continue;
    last = kind;
    things.push(thing);
    if (thing.pen.surface && chance.is(0.75)) things.push(...setTable(thing, unseen, chance));
  }
  return things.sort((a, b) => depthOf(a) - depthOf(b));
}

/** What is higher up stands behind; what is on a table comes after it. */
const depthOf = ({ place, y, on }: LaidThing): number => (place === 'sky' ? y - 2 : on ? depthOf(on) + 1e-6 : y);

function colorOf(kind: Kind, isHeldOut: boolean, chance: Chance): ColorName {
  const heldOut = heldOutColor(kind);
  return isHeldOut ? heldOut : chance.pick(colorNames.filter((name) => name !== heldOut));
}

function penOf(color: ColorName, height: number, chance: Chance): { pen: Pen; pattern?: PatternName } {
  const pattern = chance.is(0.3) ? chance.pick(patternNames) : undefined;
  // Stripes of less than three pixels of a small picture would be grey.
  const cell = Math.max(pattern === 'checked' ? 0.09 : 0.15, (pattern === 'checked' ? 0.026 : 0.042) / height) * chance.between(1, 1.3);
  const rgb: Rgb = color === 'white' || color === 'yellow' || color === 'pink' ? [96, 84, 92] : [246, 244, 236];
  return {
    pen: new Pen(chance, color, pattern && { type: pattern, rgb, cell, across: chance.pick(['x', 'y', 'both'] as const) }),
    pattern,
  };
}

function place(
  kind: Kind,
  color: ColorName,
  { isIndoors, ground, water }: Background,
  others: readonly LaidThing[],
  chance: Chance,
): LaidThing | undefined {
  const places = kind.places.filter((one) => one === 'ground' || (one === 'sky' && !isIndoors) || (one === 'water' && water));
  for (let attempt = 0; attempt < mostTries; attempt++) {
    const where = chance.pick(places);
    const [top, bottom] = where === 'water' && water ? water : where === 'ground' ? ground : [0.1, ground[0] - 0.12];
    let y = chance.between(top, bottom);
    const near = where === 'sky' ? 0.9 : 0.68 + (0.36 * (y - ground[0] + 0.02)) / (1.02 - ground[0]);
    let height = chance.between(...kind.height) * (where === 'water' ? 0.9 : near);
    if (where === 'sky') y = Math.max(y, height + 0.02);
    if (where === 'water' && kind.group === 'animal') y = Math.min(0.99, Math.max(y, top + 0.7 * height)); // below the surface
    height = Math.min(height, y - 0.01);
    const half = (height * kind.width) / 2;
    if (half > 0.48 || height < 0.6 * kind.height[0]) continue;
    const x = chance.between(Math.min(0.5, half * 0.85), Math.max(0.5, 1 - half * 0.85));
    const most = (other: LaidThing) => (other.kind === kind && other.color === color ? mostOverlapOfTwins : mostOverlap);
    if (others.some((other) => overlapOf(other, { kind, x, y, height }) > most(other))) continue;
    return {
      kind,
      color,
      x,
      y,
      height,
      place: where,
      isFlipped: chance.is(0.5),
      lean: leanOf(kind, chance),
      ...penDrawn(kind, color, height, chance),
    };
  }
  return undefined;
}

const leanOf = ({ lean = 0 }: Kind, chance: Chance) => (lean > 0 ? chance.between(-lean, lean) : 0);

function penDrawn(kind: Kind, color: ColorName, height: number, chance: Chance): { pen: Pen; pattern?: PatternName } {
  const drawn = penOf(color, height, chance);
  kind.draw(drawn.pen);
  return drawn;
}

/** The share of the smaller box that lies in the other. */
function overlapOf(a: Pick<LaidThing, 'kind' | 'x' | 'y' | 'height'>, b: Pick<LaidThing, 'kind' | 'x' | 'y' | 'height'>): number {
  const [halfA, halfB] = [(a.height * a.kind.width) / 2, (b.height * b.kind.width) / 2];
  const wide = Math.min(a.x + halfA, b.x + halfB) - Math.max(a.x - halfA, b.x - halfB);
  const high = Math.min(a.y, b.y) - Math.max(a.y - a.height, b.y - b.height);
  return wide > 0 && high > 0 ? (wide * high) / Math.min(2 * halfA * a.height, 2 * halfB * b.height) : 0;
}

/** Small things on a table. */
function setTable(table: LaidThing, unseen: boolean, chance: Chance): LaidThing[] {
  const { surface } = table.pen;
  if (!surface) return [];
  const small = kinds.filter(({ places }) => places.includes('top'));
  const things: LaidThing[] = [];
  const [left, right] = [table.x + surface.left * table.height, table.x + surface.right * table.height];
  const y = table.y + surface.y * table.height;
  for (let i = 0; i <= chance.below(3); i++) {
    const kind = chance.pick(small);
    const height = Math.min(chance.between(...kind.height) * 0.85, y - 0.02);
    const half = (height * kind.width) / 2;
    const x = chance.between(left + half * 0.6, right - half * 0.6);
    if (height < 0.09 || things.some((other) => overlapOf(other, { kind, x, y, height }) > 0.15)) continue;
    const color = colorOf(kind, unseen && chance.is(0.5), chance);
    things.push({
      kind,
      color,
      x,
      y: y + 0.004 * chance.fraction(),
      height,
      place: 'top',
      isFlipped: chance.is(0.5),
      lean: 0,
      on: table,
      ...penDrawn(kind, color, height, chance),
    });
  }
  return things;
}

function shapesOf(background: Background, things: readonly LaidThing[], style: Style): Shape[] {
  const shapes = [...background.shapes];
  let label = background.regions.length;
  for (const thing of things) {
    const { x, y, height, kind, place } = thing;
    if (style.shadow > 0 && (place === 'ground' || place === 'top')) {
      const half = (height * kind.width) / 2;
      const shade: Paint = { rgb: [20, 20, 34], opacity: style.shadow };
      shapes.push({ rings: [ellipse(x - style.light[0] * half * 1.4, y, half * 0.92, Math.min(0.03, 0.12 * half + 0.006))], paint: shade });
    }
    shapes.push(...drawn(thing, label, style));
    label += thing.pen.parts.length;
  }
  return shapes;
}

/** The marks of a thing at its place. */
function drawn(thing: LaidThing, label: number, style: Style): Shape[] {
  const { x, y, height, isFlipped, lean, pen } = thing;
  const [cos, sin] = direction(lean);
  const side = isFlipped ? -1 : 1;
  const placed = (ring: Outline): Outline => {
    const result: Outline = new Array(ring.length);
    for (let i = 0; i < ring.length; i += 2) {
      const [u, v] = [side * (ring[i] as number), ring[i + 1] as number];
      const at = isFlipped ? ring.length - 2 - i : i; // mirrored it would run the other way round
      result[at] = x + height * (u * cos - v * sin);
      result[at + 1] = y + height * (u * sin + v * cos);
    }
    return result;
  };
  return pen.marks.flatMap(({ part, rings, ink, isOutlined }) => {
    const moved = rings.map(placed);
    const fill: Shape = { rings: moved, label: label + part, paint: paintOf(ink, thing, moved, style) };
    if (!isOutlined || style.line === 0) return [fill];
    const rgb = style.lineRgb ?? lighter(ink.rgb, -0.55);
    return [{ rings: moved.map((ring) => grown(ring, style.line)), label: label + part, paint: { rgb } }, fill];
  });
}

/** Lighter towards the light. */
function paintOf({ rgb, pattern }: Ink, { x, y, height }: LaidThing, rings: readonly Outline[], { light }: Style): Paint {
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      left = Math.min(left, ring[i] as number);
      right = Math.max(right, ring[i] as number);
      top = Math.min(top, ring[i + 1] as number);
      bottom = Math.max(bottom, ring[i + 1] as number);
    }
  }
  const [alongX, alongY] = [light[0] / Math.max(1e-3, right - left), light[1] / Math.max(1e-3, bottom - top)];
  return {
    rgb,
    light: [1 - (alongX * (left + right)) / 2 - (alongY * (top + bottom)) / 2, alongX, alongY],
    pattern: pattern && { ...pattern, x, y, cell: pattern.cell * height },
  };
}

/** Things of which enough is seen; nothing stays on a table that is not. */
function visibleOf({ background, things, shapes }: Pick<Layout, 'background' | 'things' | 'shapes'>): readonly LaidThing[] {
  const first = background.regions.length;
  const owner = things.flatMap(({ pen }, i) => pen.parts.map(() => i));
  const canvas = new Canvas(roughSize, { labels: true });
  const labels = canvas.labels as Uint16Array;
  const whole = new Int32Array(things.length);
  let drawing = -1;
  const finish = () => {
    if (drawing < 0) return;
    for (const label of labels) if (label >= first && owner[label - first] === drawing) whole[drawing] = (whole[drawing] as number) + 1;
  };
  for (const shape of shapes) {
    const next = shape.label === undefined || shape.label < first ? -1 : (owner[shape.label - first] as number);
    if (next !== drawing) {
      finish();
      drawing = next;
    }
    canvas.fill(shape);
  }
  finish();
  const seen = new Int32Array(things.length);
  for (const label of labels) {
    if (label < first) continue;
    const thing = owner[label - first] as number;
    seen[thing] = (seen[thing] as number) + 1;
  }
  const good = new Set(things.filter((_, i) => (seen[i] as number) >= Math.max(leastPixels, leastShare * (whole[i] as number))));
  return things.filter((thing) => good.has(thing) && (!thing.on || good.has(thing.on)));
}
