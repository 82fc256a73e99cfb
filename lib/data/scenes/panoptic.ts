/** Scenes in COCO's panoptic format: https://cocodataset.org/#format-data */
import type { Box } from '../../image/rle';
import { regionNames } from './backgrounds';
import { kinds } from './kinds';
import type { Scene } from './scene';

export interface PanopticSegment {
  /** In the picture of segments, red + 256 green + 65536 blue. */
  readonly id: number;
  readonly category_id: number;
  readonly area: number;
  readonly bbox: Box;
  readonly iscrowd: 0;
}

/** Regions first, from 1 on, as `pixelClassNames.kind` has them from 0 on. */
export const panopticCategories = [
  ...regionNames.map((name, i) => ({ id: i + 1, name, supercategory: 'region', isthing: 0 })),
  ...kinds.map(({ name, group = 'thing' }, i) => ({ id: regionNames.length + i + 1, name, supercategory: group, isthing: 1 })),
];

const idOf = (name: string) => panopticCategories.find((category) => category.name === name)?.id ?? 0;

/** @returns the picture of segments, `[height, width, 3]`, and what they are. */
export function panopticOf({ labels, regions, things }: Scene): { pixels: Uint8Array; segments: PanopticSegment[] } {
  const idOfLabel = new Uint32Array(2 ** 16);
  const seen = [...regions.map((region) => ({ ...region, kind: region.name as string })), ...things];
  const segments = seen.map(({ kind, area, box, labels: own }, i): PanopticSegment => {
    const id = Math.imul(i + 1, 0x9e3779) & 0xffffff; // an odd factor: no two are the same, and colours lie apart
    for (const label of own) idOfLabel[label] = id;
    return { id, category_id: idOf(kind), area, bbox: box, iscrowd: 0 };
  });
  const pixels = new Uint8Array(3 * labels.length);
  for (const [i, label] of labels.entries()) {
    const id = idOfLabel[label] as number;
    pixels.set([id & 255, (id >> 8) & 255, id >> 16], 3 * i);
  }
  return { pixels, segments };
}
