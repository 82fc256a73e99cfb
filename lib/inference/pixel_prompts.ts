/** What points, boxes and masks in pixels of a picture are to Segment Anything. */
import { shown } from '../checks';
import { ArgumentError } from '../errors';
import type { Placement } from '../models/sam/input';
import type { Sam } from '../models/sam/model';
import type { SamBox, SamPoint, SamPrompts } from '../models/sam/prompt_encoder';
import { cast } from '../ops/cast';
import { enqueueUpload } from '../tensor/create';
import type { Picture } from './picture';
import type { PixelBox, SegmentRequest } from './segmenting';

type Size = Pick<Picture, 'width' | 'height'>;

/** One entry an object in each list that is there. */
export interface PixelPrompts {
  readonly points?: readonly (readonly SamPoint[])[];
  readonly boxes?: readonly PixelBox[];
  /** `[side, side]` each. */
  readonly masks?: readonly Float32Array[];
  readonly maskSide: number;
}

/**
 * @param maskSide - of the masks that the network makes and takes.
 * @throws ArgumentError for what is not of the form, not within the picture, or not of as many objects as the rest.
 */
export function pixelPrompts(picture: Size, { points, labels, boxes, mask }: SegmentRequest, maskSide: number): PixelPrompts {
  const prompts = {
    points: points === undefined ? undefined : pointsOf(picture, points, labels),
    boxes: boxes === undefined ? undefined : boxesOf(picture, boxes),
    masks: mask === undefined ? undefined : masksOf(mask, maskSide),
  };
  if (points === undefined && labels !== undefined) refuse('labels are given and no points');
  const counts = Object.entries(prompts).flatMap(([name, list]) => (list ? [{ name, count: list.length }] : []));
  const [first] = counts;
  if (!first) return refuse('no points, boxes or mask are given, expected one of them at least');
  for (const { name, count } of counts) {
    if (count === 0) refuse(`${name} are empty, expected those of one object at least`);
    if (count !== first.count) refuse(`${name} are of ${count} objects, expected ${first.count}, as ${first.name}`);
  }
  return { ...prompts, maskSide };
}

/** In the network's input, of which the picture is a part. Enqueued where masks are given. */
export function samPrompts({ points, boxes, masks, maskSide }: PixelPrompts, { resized, original }: Placement, sam: Sam): SamPrompts {
  const [vertical, horizontal] = [resized[0] / original[0], resized[1] / original[1]];
  const place = (point: SamPoint): SamPoint => ({ ...point, x: point.x * horizontal, y: point.y * vertical });
  const corners = ([left, top, right, bottom]: PixelBox): SamBox => [
    left * horizontal,
    top * vertical,
    right * horizontal,
    bottom * vertical,
  ];
  const most = Math.max(...(points ?? []).map(({ length }) => length));
  const nowhere: SamPoint = { x: 0, y: 0, label: -1 };
  return {
    points: points?.map((own) => [...own.map(place), ...new Array<SamPoint>(most - own.length).fill(nowhere)]),
    boxes: boxes?.map(corners),
    masks: masks && cast(enqueueUpload(joined(masks), [masks.length, 1, maskSide, maskSide]), sam.dtype),
  };
}

function refuse(why: string): never {
  throw new ArgumentError(`segmentAnything: ${why}`);
}

/** `list` as a list of one object's, when it is that of one. */
const ofObjects = (list: unknown, isOne: (first: unknown) => boolean): unknown => (Array.isArray(list) && isOne(list[0]) ? [list] : list);
const isPair = (value: unknown): boolean => Array.isArray(value) && !Array.isArray(value[0]);

function pointsOf({ width, height }: Size, points: unknown, labels: unknown): SamPoint[][] {
  const [all, kinds] = [ofObjects(points, isPair), ofObjects(labels, (first) => !Array.isArray(first))];
  if (!(Array.isArray(all) && all.every(Array.isArray))) {
    return refuse(`points are ${shown(points)}, expected a list of [x, y], or one for each object`);
  }
  if (kinds !== undefined && !(Array.isArray(kinds) && kinds.length === all.length)) {
    refuse(`labels are ${shown(labels)}, expected one for each of the points`);
  }
  return all.map((own: unknown[], object) => {
    if (own.length === 0) return refuse(`points of object ${object} are [], expected [x, y] of one at least`);
    const mine = (kinds as unknown[] | undefined)?.[object];
    if (mine !== undefined && !(Array.isArray(mine) && mine.length === own.length)) {
      refuse(`labels of object ${object} are ${shown(mine)}, expected one for each of its ${own.length} points`);
    }
    return own.map((point: unknown, i): SamPoint => {
      const [x, y]: unknown[] = Array.isArray(point) && point.length === 2 ? point : [];
      if (!(isWithin(x, width) && isWithin(y, height))) {
        return refuse(`a point is ${shown(point)}, expected [x, y] within the ${width} x ${height} pixels of the image`);
      }
      const label: unknown = (mine as unknown[] | undefined)?.[i] ?? 1;
      if (label !== 0 && label !== 1) return refuse(`a label is ${shown(label)}, expected 1, on the object, or 0, beside it`);
      return { x: x as number, y: y as number, label };
    });
  });
}

const isWithin = (value: unknown, most: number): boolean => typeof value === 'number' && value >= 0 && value <= most;

function boxesOf({ width, height }: Size, boxes: unknown): PixelBox[] {
  const all = ofObjects(boxes, (first) => typeof first === 'number');
  if (!Array.isArray(all)) return refuse(`boxes are ${shown(boxes)}, expected [left, top, right, bottom] of each`);
  return all.map((box: unknown): PixelBox => {
    const [left, top, right, bottom] = (Array.isArray(box) && box.length === 4 ? box : []) as number[];
    const fits = [left, right].every((x) => isWithin(x, width)) && [top, bottom].every((y) => isWithin(y, height));
    if (!fits || (left as number) >= (right as number) || (top as number) >= (bottom as number)) {
      return refuse(`a box is ${shown(box)}, expected [left, top, right, bottom] within the ${width} x ${height} pixels of the image`);
    }
    return box as unknown as PixelBox;
  });
}

function masksOf(mask: unknown, side: number): Float32Array[] {
  const all = Array.isArray(mask) ? mask : [mask];
  for (const one of all) {
    const got = one instanceof Float32Array ? `${one.length} numbers` : shown(one);
    if (!(one instanceof Float32Array) || one.length !== side * side) {
      refuse(`mask is ${got}, expected the logits of an earlier mask, ${side * side} numbers`);
    }
    if (!one.every(Number.isFinite)) refuse('mask has numbers that are NaN or infinite');
  }
  return all as Float32Array[];
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const [{ length } = { length: 0 }] = arrays;
  const all = new Float32Array(length * arrays.length);
  for (const [i, one] of arrays.entries()) all.set(one, i * length);
  return all;
}
