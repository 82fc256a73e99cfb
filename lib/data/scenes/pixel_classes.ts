/** What each pixel of a scene shows, as classes: truth for networks that see before any text is learned. */
import { regionNames } from './backgrounds';
import { colorNames } from './colors';
import { kinds } from './kinds';
import type { Scene } from './scene';

const background = 'background';

/** Names of the classes, in the order of their numbers. Regions come first among kinds; elsewhere 0 is what has none. */
export const pixelClassNames = {
  kind: [...regionNames, ...kinds.map(({ name }) => name)] as readonly string[],
  color: [background, ...colorNames] as readonly string[],
  part: [background, ...new Set(kinds.flatMap(({ parts }) => Object.keys(parts)).sort())] as readonly string[],
} as const;

/** Class numbers, `[height, width]`. */
export interface PixelClasses {
  /** Of what: the kind of a thing, or a region. */
  readonly kind: Uint8Array<ArrayBuffer>;
  /** The colour of the thing as a whole; of a region none. */
  readonly color: Uint8Array<ArrayBuffer>;
  /** The name of the part; of a region none. */
  readonly part: Uint8Array<ArrayBuffer>;
}

export function pixelClasses({ labels, things, regions }: Scene): PixelClasses {
  const [kind, color, part] = [new Uint8Array(2 ** 16), new Uint8Array(2 ** 16), new Uint8Array(2 ** 16)];
  for (const region of regions) for (const label of region.labels) kind[label] = pixelClassNames.kind.indexOf(region.name);
  for (const thing of things) {
    for (const { name, labels: own } of thing.parts) {
      for (const label of own) {
        kind[label] = pixelClassNames.kind.indexOf(thing.kind);
        color[label] = pixelClassNames.color.indexOf(thing.color);
        part[label] = pixelClassNames.part.indexOf(name);
      }
    }
  }
  const mapped = (classes: Uint8Array) => Uint8Array.from(labels, (label) => classes[label] as number);
  return { kind: mapped(kind), color: mapped(color), part: mapped(part) };
}
