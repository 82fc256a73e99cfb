/** What a kind of thing draws itself with: named parts, in a frame of its own. */
import type { Pattern, Rgb } from './canvas';
import type { Chance } from './chance';
import { type ColorName, colorNames, lighter, shadeOf } from './colors';
import { areaOf, type Outline } from './shapes';

/** What a part is painted with. */
export interface Ink {
  readonly rgb: Rgb;
  /** Where one would say it has a colour. */
  readonly color?: ColorName;
  /** In the units of the thing; its second colour is `rgb`. */
  readonly pattern?: Pick<Pattern, 'type' | 'rgb' | 'cell' | 'across'>;
}

/** A fill of a part, in the units of the thing. */
export interface Mark {
  /** Of its part among those of the thing. */
  readonly part: number;
  readonly rings: readonly Outline[];
  readonly ink: Ink;
  /** Whether a line goes around it, where things are drawn so. */
  readonly isOutlined: boolean;
}

export interface DrawnPart {
  readonly name: string;
  readonly color?: ColorName;
  /** Outlines that it is made of: four legs may be one part. */
  pieces: number;
}

/** Not so far that black is lost in outlines, or orange becomes brown. */
const towardsDark: Partial<Record<ColorName, number>> = { black: 0.18, orange: -0.14 };

const fixed = (rgb: Rgb, color?: ColorName): Ink => ({ rgb, color });

/**
 * The frame: x to the right from the middle, y down, the thing stands on y = 0 and reaches up to about -1. What is drawn later lies
 * over what was drawn before.
 */
export class Pen {
  readonly chance: Chance;
  /** The thing's colour, with its pattern. */
  readonly main: Ink;
  /** The thing's colour without the pattern, and darker. */
  readonly dark: Ink;
  /** Of another colour. */
  readonly accent: Ink;
  readonly black = fixed([48, 48, 54], 'black');
  readonly white = fixed([242, 242, 238], 'white');
  readonly wood: Ink;
  readonly leaf: Ink;
  readonly metal: Ink;
  readonly glass: Ink;
  readonly skin: Ink;
  readonly marks: Mark[] = [];
  readonly parts: DrawnPart[] = [];
  /** Where other things may stand on it. */
  surface?: { readonly y: number; readonly left: number; readonly right: number };

  constructor(chance: Chance, color: ColorName, pattern: Ink['pattern']) {
    this.chance = chance;
    const rgb = shadeOf(color, chance);
    this.main = { rgb, color, pattern };
    this.dark = { rgb: lighter(rgb, towardsDark[color] ?? -0.22), color };
    const other = chance.pick(colorNames.filter((name) => name !== color));
    this.accent = fixed(shadeOf(other, chance), other);
    this.wood = fixed(lighter([134, 88, 50], chance.between(-0.15, 0.15)), 'brown');
    this.leaf = fixed([62 + chance.between(-12, 20), 144 + chance.between(-20, 16), 60], 'green');
    this.metal = fixed(lighter([150, 154, 162], chance.between(-0.2, 0.3)));
    this.glass = fixed([176 + chance.between(-16, 20), 218, 236]);
    this.skin = fixed(
      chance.pick<Rgb>([
        [246, 208, 176],
        [226, 176, 134],
        [176, 120, 82],
        [116, 76, 52],
      ]),
    );
  }

  /** A new part; one name may be given several times, to the wheels of a car. */
  part(name: string, ink: Ink): Part {
    this.parts.push({ name, color: ink.color, pieces: 0 });
    return new Part(this, this.parts.length - 1, ink);
  }
}

export class Part {
  readonly #pen: Pen;
  readonly #index: number;
  readonly #ink: Ink;

  constructor(pen: Pen, index: number, ink: Ink) {
    [this.#pen, this.#index, this.#ink] = [pen, index, ink];
  }

  fill(...rings: readonly Outline[]): this {
    (this.#pen.parts[this.#index] as DrawnPart).pieces += rings.length;
    return this.#add(rings.map(turned), this.#ink, true);
  }

  /** What belongs to the part in another colour, without a line around: an eye, a button. */
  detail(ink: Ink, ...rings: readonly Outline[]): this {
    return this.#add(rings.map(turned), ink, false);
  }

  /** A ring with a hole. */
  ring(outer: Outline, inner: Outline): this {
    const hole = turned(inner);
    (this.#pen.parts[this.#index] as DrawnPart).pieces++;
    const reversed: Outline = [];
    for (let i = hole.length - 2; i >= 0; i -= 2) reversed.push(hole[i] as number, hole[i + 1] as number);
    return this.#add([turned(outer), reversed], this.#ink, true);
  }

  #add(rings: readonly Outline[], ink: Ink, isOutlined: boolean): this {
    this.#pen.marks.push({ part: this.#index, rings, ink, isOutlined });
    return this;
  }
}

/** The same ring, running from the axis of x to that of y. */
function turned(ring: Outline): Outline {
  if (areaOf(ring) >= 0) return ring;
  const result: Outline = [];
  for (let i = ring.length - 2; i >= 0; i -= 2) result.push(ring[i] as number, ring[i + 1] as number);
  return result;
}
