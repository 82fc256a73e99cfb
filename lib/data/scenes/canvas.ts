/**
 * Fills outlines: exact areas of pixels for colours, and for labels each pixel to the shape that covers half of it or more, the last
 * drawn one. Signed areas are summed along rows, as in font rasterisers (Raph Levien, "Inside the fastest font renderer", 2016).
 */
import { hashOf } from '../shuffle';
import { areaOf } from './shapes';

// Looked up once: in a realm of its own, as tests have it, a look at a global costs more than the arithmetic.
const { abs, ceil, floor, imul, max, min, round, sqrt } = Math;

export type Rgb = readonly [red: number, green: number, blue: number];

/** A second colour on the first. Lengths in picture widths. */
export interface Pattern {
  readonly type: 'striped' | 'dotted' | 'checked' | 'gradient' | 'noise' | 'waves' | 'planks' | 'bricks' | 'tufts';
  readonly rgb: Rgb;
  /** Where it begins. */
  readonly x: number;
  readonly y: number;
  /** Of what repeats; of a gradient its height. */
  readonly cell: number;
  /** What stripes run across. */
  readonly across?: 'x' | 'y' | 'both';
}

export interface Paint {
  readonly rgb: Rgb;
  /** 0 to 1; default 1. */
  readonly opacity?: number;
  readonly pattern?: Pattern;
  /** Brightness at (x, y) is `light[0] + light[1] * x + light[2] * y`; default 1. */
  readonly light?: readonly [number, number, number];
}

/** Outlines in picture widths. What several cover is covered once, but for the softness of their edges; a ring that runs the other way round than the first is a hole. */
export interface Shape {
  readonly rings: readonly ArrayLike<number>[];
  /** What the pixels belong to; undefined: to what they belonged to before. */
  readonly label?: number;
  readonly paint: Paint;
}

/** Of a pixel: what rounding leaves of one that is covered. */
const whole = 0.996;

export class Canvas {
  readonly size: number;
  /** `[size, size]`. */
  readonly labels?: Uint16Array<ArrayBuffer>;
  /** `[size, size, 3]`. */
  readonly pixels?: Uint8Array<ArrayBuffer>;
  readonly #stride: number;
  /** Signed area that begins in a pixel; all 0 between shapes. */
  readonly #areas: Float64Array;
  /** Of the pixels of a row. */
  readonly #covered: Float64Array;

  /** @param what - of the two what is drawn. */
  constructor(size: number, what: { readonly labels?: boolean; readonly pixels?: boolean }) {
    this.size = size;
    this.#stride = size + 2;
    this.#areas = new Float64Array(this.#stride * size);
    this.#covered = new Float64Array(size);
    if (what.labels) this.labels = new Uint16Array(size * size);
    if (what.pixels) this.pixels = new Uint8Array(3 * size * size);
  }

  fill({ rings, label, paint }: Shape): void {
    const { size, labels, pixels } = this;
    if (!pixels && label === undefined) return;
    let [left, top, right, bottom] = [size, size, 0, 0];
    for (const ring of rings) {
      for (let i = 0; i < ring.length; i += 2) {
        const [x, y] = [(ring[i] as number) * size, (ring[i + 1] as number) * size];
        left = min(left, x);
        right = max(right, x);
        top = min(top, y);
        bottom = max(bottom, y);
      }
    }
    [left, top] = [max(0, floor(left)), max(0, floor(top))];
    [right, bottom] = [min(size, ceil(right)), min(size, ceil(bottom))];
    if (left >= right || top >= bottom) return;
    for (const ring of rings) this.#addRing(ring);
    const sign = areaOf(rings[0] ?? []) < 0 ? -1 : 1;
    const brush = pixels && new Brush(paint, size, pixels);
    const covered = this.#covered;
    for (let y = top; y < bottom; y++) {
      const row = y * this.#stride;
      let sum = 0;
      for (let x = left; x < right; x++) {
        sum += this.#areas[row + x] as number;
        const share = sum * sign;
        covered[x] = share > whole ? 1 : share < 1 - whole ? 0 : share;
        if (labels && label !== undefined && share >= 0.5) labels[y * size + x] = label;
      }
      brush?.paintRow(y, left, right, covered);
      this.#areas.fill(0, row + left, row + min(right + 2, this.#stride));
    }
  }

  #addRing(ring: ArrayLike<number>): void {
    const { size } = this;
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const [x0, y0] = [(ring[j] as number) * size, (ring[j + 1] as number) * size];
      const [x1, y1] = [(ring[i] as number) * size, (ring[i + 1] as number) * size];
      if (y0 < y1) this.#addSide(x0, y0, x1, y1, -1);
      else if (y1 < y0) this.#addSide(x1, y1, x0, y0, 1);
    }
  }

  /** A side from upper to lower: what lies right of it is covered. */
  #addSide(x0: number, y0: number, x1: number, y1: number, way: number): void {
    const { size } = this;
    const areas = this.#areas;
    const slope = (x1 - x0) / (y1 - y0);
    const end = min(size, ceil(y1));
    let x = y0 < 0 ? x0 - y0 * slope : x0;
    for (let y = max(0, floor(y0)); y < end; y++) {
      const height = min(y + 1, y1) - max(y, y0);
      const next = x + slope * height;
      const area = way * height;
      const low = min(size, max(0, min(x, next)));
      const high = min(size, max(0, x, next));
      x = next;
      const first = floor(low);
      const last = ceil(high);
      const at = y * this.#stride + first;
      if (last <= first + 1) {
        const mean = 0.5 * (low + high) - first;
        areas[at] = (areas[at] as number) + area - area * mean;
        areas[at + 1] = (areas[at + 1] as number) + area * mean;
        continue;
      }
      // It crosses several pixels: each gets the area right of the side, as a difference to the one before.
      const share = 1 / (high - low);
      let before = 0;
      for (let pixel = first; pixel < last; pixel++) {
        const from = max(pixel, low);
        const to = min(pixel + 1, high);
        // Covered at the right edge of the pixel by the part that lies in it, and the mean of it over the pixel.
        const passed = (from - low) * share;
        const covered = (to - from) * share;
        const mean = passed * 1 + covered * (pixel + 1 - 0.5 * (from + to));
        areas[y * this.#stride + pixel] = (areas[y * this.#stride + pixel] as number) + area * (mean - before);
        before = mean;
      }
      areas[y * this.#stride + last] = (areas[y * this.#stride + last] as number) + area * (1 - before);
    }
  }

  /** Adds grain of up to `most` levels, as paper or a camera has it. */
  grain(most: number, key: number): void {
    const { pixels } = this;
    if (!pixels || most <= 0) return;
    for (let i = 0; i < pixels.length; i += 3) {
      const delta = ((imul(i ^ key, 0x9e3779b1) >>> 8) % 256) / 128 - 1;
      const mixed = imul((i + key) ^ ((i + key) >>> 7), 0x85ebca6b) >>> 16;
      const level = round(most * 0.5 * (delta + (mixed % 256) / 128 - 1));
      for (let channel = i; channel < i + 3; channel++) pixels[channel] = min(255, max(0, (pixels[channel] as number) + level));
    }
  }
}

/** A paint on rows of pixels. */
class Brush {
  readonly #paint: Paint;
  readonly #size: number;
  readonly #pixels: Uint8Array;

  constructor(paint: Paint, size: number, pixels: Uint8Array) {
    [this.#paint, this.#size, this.#pixels] = [paint, size, pixels];
  }

  /** @param covered - of each pixel of the row, 0 to 1. */
  paintRow(row: number, left: number, right: number, covered: Float64Array): void {
    const { rgb, pattern, light, opacity = 1 } = this.#paint;
    const pixel = 1 / this.#size;
    const y = (row + 0.5) * pixel;
    let [red, green, blue] = rgb;
    const [red2, green2, blue2] = pattern?.rgb ?? rgb;
    const texture = pattern?.type === 'gradient' ? undefined : pattern;
    if (pattern?.type === 'gradient') {
      const share = min(1, max(0, (y - pattern.y) / pattern.cell));
      red += share * (red2 - red);
      green += share * (green2 - green);
      blue += share * (blue2 - blue);
    }
    const along = light ? light[1] * pixel : 0;
    const start = light ? light[0] + light[2] * y + 0.5 * along : 1;
    for (let x = left; x < right; x++) {
      const alpha = (covered[x] as number) * opacity;
      if (alpha === 0) continue;
      const second = texture ? shareOf(texture, (x + 0.5) * pixel, y, pixel) : 0;
      const brightness = start + along * x;
      const at = 3 * (row * this.#size + x);
      this.#blend(at, alpha, (red + second * (red2 - red)) * brightness);
      this.#blend(at + 1, alpha, (green + second * (green2 - green)) * brightness);
      this.#blend(at + 2, alpha, (blue + second * (blue2 - blue)) * brightness);
    }
  }

  #blend(at: number, alpha: number, color: number): void {
    const old = this.#pixels[at] as number;
    const value = old + alpha * (color - old);
    this.#pixels[at] = value >= 255 ? 255 : value <= 0 ? 0 : value + 0.5;
  }
}

/** From 0 to 1 within a pixel around the edge at 0. */
const edge = (distance: number, pixel: number) => {
  const value = distance / pixel + 0.5;
  return min(1, max(0, value));
};
const fraction = (value: number) => value - floor(value);
/** Distance to the middle of a stripe of half the cell, beyond its half width; below 0 inside. */
const stripe = (u: number) => 0.25 - abs(fraction(u) - 0.5);

/** How much of the second colour there is at a place. @param pixel - its width. */
function shareOf({ type, x: left, y: top, cell, across = 'y' }: Pattern, x: number, y: number, pixel: number): number {
  const [u, v] = [(x - left) / cell, (y - top) / cell];
  const soft = pixel / cell;
  switch (type) {
    case 'striped':
      return edge(stripe(across === 'x' ? u : across === 'y' ? v : 0.7 * (u + v)), soft);
    case 'dotted': {
      const [a, b] = [fraction(u + 0.5 * (floor(v) & 1)) - 0.5, fraction(v) - 0.5];
      return edge(0.3 - sqrt(a * a + b * b), soft);
    }
    case 'checked': {
      const [a, b] = [edge(stripe(0.5 * u), 0.5 * soft), edge(stripe(0.5 * v), 0.5 * soft)];
      return a + b - 2 * a * b;
    }
    case 'gradient':
      return min(1, max(0, v));
    case 'noise':
      return 0.65 * noise(u, v) + 0.35 * noise(2.7 * u + 9, 2.7 * v + 5);
    case 'waves': {
      const wave = fraction(0.25 * u + 0.5 * (floor(v) & 1) + 0.17 * floor(v));
      const crest = 0.45 * wave * (1 - wave) * 4;
      return edge(0.13 - abs(fraction(v) - 0.2 - crest), soft) * (wave < 0.6 ? 1 : 0);
    }
    case 'planks': {
      const board = floor(v);
      const seam = max(edge(0.07 - abs(fraction(v) - 0.5), soft), edge(0.02 - abs(fraction(0.2 * u + 0.37 * board) - 0.5), 0.2 * soft));
      return max(seam, 0.3 * noise(0.4 * u, 7 * v));
    }
    case 'bricks': {
      const seams = edge(0.06 - abs(fraction(v) - 0.5), soft);
      return max(seams, edge(0.03 - abs(fraction(0.5 * u + 0.5 * (floor(v + 0.5) & 1)) - 0.5), 0.5 * soft));
    }
    case 'tufts': {
      const [a, b] = [floor(u), floor(v)];
      const lean = hashOf(a + 4096, b + 4096) / 2 ** 32;
      if (lean < 0.45) return 0;
      return edge(0.5 * (1 - fraction(v)) * 0.3 + 0.04 - abs(fraction(u) - 0.5 - (lean - 0.7) * (1 - fraction(v))), soft);
    }
  }
}

/** Smooth chance between the corners of cells. */
function noise(u: number, v: number): number {
  const [a, b] = [floor(u), floor(v)];
  const [s, t] = [u - a, v - b];
  const [p, q] = [s * s * (3 - 2 * s), t * t * (3 - 2 * t)];
  const upper = cornerNoise(a, b) + p * (cornerNoise(a + 1, b) - cornerNoise(a, b));
  const lower = cornerNoise(a, b + 1) + p * (cornerNoise(a + 1, b + 1) - cornerNoise(a, b + 1));
  return upper + q * (lower - upper);
}

function cornerNoise(x: number, y: number): number {
  const word = imul(imul(x, 0x27d4eb2d) ^ imul(y, 0x165667b1), 0x85ebca6b);
  return (((word ^ (word >>> 15)) >>> 8) & 0xffff) / 0xffff;
}
