/** A made-up picture of which everything is known. */
import { ArgumentError } from '../../errors';
import { type Box, compressRuns, type Rle } from '../../image/rle';
import type { RegionName, SettingName } from './backgrounds';
import { Canvas } from './canvas';
import type { ColorName } from './colors';
import { expectSceneKey, type SceneKey } from './key';
import { pluralOf } from './kinds';
import type { Group } from './kinds/kind';
import { heldOutColor, type Layout, layOut, type PatternName } from './layout';

/** What of a scene has a mask. */
export interface Extent {
  /** Its values in the map of labels. */
  readonly labels: readonly number[];
  /** Pixels that are seen. */
  readonly area: number;
  /** Of what is seen. */
  readonly box: Box;
}

export interface ScenePart extends Extent {
  readonly name: string;
  /** How one calls several of it, where there may be. */
  readonly plural?: string;
  /** Whether the part itself is several: the legs of a chair. */
  readonly isSeveral: boolean;
  /** Where one would say it has one. */
  readonly color?: ColorName;
}

export interface SceneThing extends Extent {
  /** Its place among the things, the farthest first. */
  readonly id: number;
  readonly kind: string;
  readonly plural: string;
  readonly group?: Group;
  readonly uses: readonly string[];
  readonly color: ColorName;
  readonly pattern?: PatternName;
  /** Parts that are seen, by pixels at least one; one name may come several times. */
  readonly parts: readonly ScenePart[];
  /** `id` of what it stands on. */
  readonly on?: number;
  readonly place: 'ground' | 'sky' | 'water' | 'top';
  /** Whether its colour and kind are together in the split `unseen` only. */
  readonly isHeldOut: boolean;
}

export interface SceneRegion extends Extent {
  readonly name: RegionName;
  readonly color?: ColorName;
}

/** @throws ArgumentError for a key that is none. */
export function makeScene(key: SceneKey): Scene {
  expectSceneKey(key);
  return new Scene(key, layOut(key));
}

/** `[size, size, 3]`: what such a scene looks like, where nothing else of it is asked. @throws ArgumentError for a key that is none. */
export function drawScene(key: SceneKey): Uint8Array<ArrayBuffer> {
  expectSceneKey(key);
  return drawn(layOut(key), key);
}

export class Scene {
  readonly key: SceneKey;
  readonly width: number;
  readonly height: number;
  readonly setting: SettingName;
  /** `[height, width]`: to which part of a thing, or region, a pixel belongs; regions come first. */
  readonly labels: Uint16Array<ArrayBuffer>;
  readonly things: readonly SceneThing[];
  readonly regions: readonly SceneRegion[];
  /** Pixels below which nothing is asked for: 12 of a picture of 128 x 128. */
  readonly leastArea: number;
  readonly #layout: Layout;
  #pixels?: Uint8Array<ArrayBuffer>;
  #runs?: LabelRuns;

  constructor(key: SceneKey, layout: Layout) {
    const { size } = key;
    this.key = key;
    this.width = size;
    this.height = size;
    this.setting = layout.background.setting;
    this.leastArea = Math.max(1, Math.round(12 * (size / 128) ** 2));
    this.#layout = layout;
    const canvas = new Canvas(size, { labels: true });
    for (const shape of layout.shapes) canvas.fill(shape);
    this.labels = canvas.labels as Uint16Array<ArrayBuffer>;
    const extentOf = extentsIn(this.labels, size, layout);
    this.regions = layout.background.regions
      .map(({ name, color }, label) => ({ name, color, ...extentOf([label]) }))
      .filter(({ area }) => area > 0);
    let label = this.#layout.background.regions.length;
    this.things = layout.things.map(({ kind, color, pattern, pen, on, place }, id) => {
      const labels = pen.parts.map((_, i) => label + i);
      label += labels.length;
      const parts = pen.parts.map(({ name, color: own, pieces }, i) => ({
        name,
        plural: kind.parts[name],
        isSeveral: kind.parts[name] !== undefined && (pieces > 1 || kind.parts[name] === name),
        color: own,
        ...extentOf([labels[i] as number]),
      }));
      return {
        id,
        kind: kind.name,
        plural: pluralOf(kind),
        group: kind.group,
        uses: kind.uses,
        color,
        pattern,
        parts: parts.filter(({ area }) => area > 0),
        on: on && layout.things.indexOf(on),
        place,
        isHeldOut: heldOutColor(kind) === color,
        ...extentOf(labels),
      };
    });
  }

  /** `[height, width, 3]`, drawn when it is first asked for. */
  get pixels(): Uint8Array<ArrayBuffer> {
    this.#pixels ??= drawn(this.#layout, this.key);
    return this.#pixels;
  }

  /** What is seen of things, parts, regions, as one mask. @throws ArgumentError for none. */
  maskOf(...extents: readonly Pick<Extent, 'labels'>[]): Rle {
    if (extents.length === 0) throw new ArgumentError('maskOf: extents is empty, expected something of the scene');
    const { width, height } = this;
    this.#runs ??= labelRuns(this.labels, width);
    const { labels, lengths } = this.#runs;
    const wanted = new Set(extents.flatMap((extent) => extent.labels));
    const runs: number[] = [];
    let [isInside, open] = [false, 0];
    for (let i = 0; i < labels.length; i++) {
      if (wanted.has(labels[i] as number) !== isInside) {
        runs.push(open);
        [isInside, open] = [!isInside, 0];
      }
      open += lengths[i] as number;
    }
    runs.push(open);
    return { size: [height, width], counts: compressRuns(runs) };
  }
}

function drawn({ shapes, grain }: Layout, { size, index }: SceneKey): Uint8Array<ArrayBuffer> {
  const canvas = new Canvas(size, { pixels: true });
  for (const shape of shapes) canvas.fill(shape);
  canvas.grain(grain, index);
  return canvas.pixels as Uint8Array<ArrayBuffer>;
}

/** Pixels of one label that follow one another down the columns. */
interface LabelRuns {
  readonly labels: readonly number[];
  readonly lengths: readonly number[];
}

function labelRuns(map: Uint16Array, width: number): LabelRuns {
  const [labels, lengths]: [number[], number[]] = [[], []];
  for (let x = 0; x < width; x++) {
    for (let at = x; at < map.length; at += width) {
      const label = map[at] as number;
      if (label === labels.at(-1)) (lengths[lengths.length - 1] as number)++;
      else {
        labels.push(label);
        lengths.push(1);
      }
    }
  }
  return { labels, lengths };
}

/** Pixels and box of labels together. */
function extentsIn(labels: Uint16Array, size: number, { background, things }: Layout): (of: readonly number[]) => Extent {
  const count = background.regions.length + things.reduce((sum, { pen }) => sum + pen.parts.length, 0);
  const areas = new Int32Array(count);
  const [left, top] = [new Int32Array(count).fill(size), new Int32Array(count).fill(size)];
  const [right, bottom] = [new Int32Array(count), new Int32Array(count)];
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at++) {
      const label = labels[at] as number;
      areas[label] = (areas[label] as number) + 1;
      if (x < (left[label] as number)) left[label] = x;
      if (x >= (right[label] as number)) right[label] = x + 1;
      if (y < (top[label] as number)) top[label] = y;
      bottom[label] = y + 1;
    }
  }
  return (of) => {
    const seen = of.filter((label) => (areas[label] as number) > 0);
    if (seen.length === 0) return { labels: of, area: 0, box: [0, 0, 0, 0] };
    const [x, y] = [Math.min(...seen.map((label) => left[label] as number)), Math.min(...seen.map((label) => top[label] as number))];
    const [endX, endY] = [
      Math.max(...seen.map((label) => right[label] as number)),
      Math.max(...seen.map((label) => bottom[label] as number)),
    ];
    return { labels: of, area: seen.reduce((sum, label) => sum + (areas[label] as number), 0), box: [x, y, endX - x, endY - y] };
  };
}
