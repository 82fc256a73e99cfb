/**
 * A picture with its masks drawn on it: half colour, an outline, and the phrase of each. Drawn as SVG by sharp (librsvg), on threads of
 * its own. Phrases need fonts on the machine.
 */
import type { OverlayOptions as Tile } from 'sharp';
import { expectKnown, shown } from '../checks';
import { ArgumentError } from '../errors';
import { maskColor } from './colors';
import { expectRgbImage, type RgbImage } from './decode';
import { type Label, placeLabels } from './labels';
import { polygonsFromRle } from './outlines';
import type { Ring } from './polygons';
import type { Rle } from './rle';
import { loadSharp } from './sharp';
import { Turns } from './turns';

export interface OverlayMask {
  /** Of the size of the picture. */
  readonly rle: Rle;
  /** What is written on it; default nothing. */
  readonly label?: string;
  /** Default {@link maskColor} of its index. */
  readonly color?: readonly [red: number, green: number, blue: number];
}

export interface OverlayOptions {
  /** Default png. */
  format?: 'png' | 'jpeg';
  /** Of a jpeg, 1 to 100; default 90. */
  quality?: number;
  /** Of the colour inside, 0 to 1; default 0.5. */
  opacity?: number;
  /** Width of the outlines, in pixels; default a 400th of the longer side, at least 1.5; 0 draws none. */
  outline?: number;
}

const cornersATurn = 10_000; // about a millisecond's
const pathCharacters = 1 << 20; // parsers refuse attributes of many MB
const tileSide = 16_384; // of what is drawn at once: cairo's pictures end at 32,767 pixels
const outlinedCorners = 100_000; // a mask with more is noise, whose outlines would cover it and take seconds

/**
 * A file of the picture with the masks drawn on it, the later over the earlier ones, and their labels above all.
 * @throws ArgumentError for pixels that are none, masks of another size, or malformed, and for an option that is none.
 */
export async function drawOverlay(image: RgbImage, masks: readonly OverlayMask[], options: OverlayOptions = {}): Promise<Uint8Array> {
  expectRgbImage(image);
  const { width, height } = image;
  if (!Array.isArray(masks)) throw new ArgumentError(`drawOverlay: masks is ${String(masks)}, expected a list`);
  for (const [i, mask] of masks.entries()) {
    const { rle, color, label } = (mask ?? {}) as Partial<OverlayMask>;
    if (rle?.size?.[0] !== height || rle.size[1] !== width)
      throw new ArgumentError(`drawOverlay: masks[${i}] is [${rle?.size}], expected [${height},${width}], the size of the picture`);
    if (color && !(Array.isArray(color) && color.length === 3 && color.every((value) => value >= 0 && value <= 255)))
      throw new ArgumentError(`drawOverlay: masks[${i}] has the color ${shown(color)}, expected red, green and blue, 0 to 255`);
    if (label && typeof label !== 'string')
      throw new ArgumentError(`drawOverlay: masks[${i}] has the label ${shown(label)}, expected a string`);
  }
  expectKnown('drawOverlay', options ?? {}, ['format', 'quality', 'opacity', 'outline']);
  const { format = 'png', quality = 90, opacity = 0.5, outline = Math.max(1.5, Math.max(width, height) / 400) } = options ?? {};
  expectWithin('opacity', opacity, 0, 1);
  expectWithin('outline', outline, 0, 1000);
  if (format !== 'png' && format !== 'jpeg')
    throw new ArgumentError(`drawOverlay: format is ${JSON.stringify(format)}, expected png or jpeg`);
  if (format === 'jpeg') expectWithin('quality', quality, 1, 100);

  const shapes: string[] = [];
  const labels: Label[] = [];
  for (const [i, { rle, label, color = maskColor(i) }] of (masks as readonly OverlayMask[]).entries()) {
    const hex = hexOf(color);
    const { paths, corners } = await pathsOf(rle);
    for (const path of paths) {
      shapes.push(`<path d="${path}" fill="${hex}" fill-opacity="${opacity}" fill-rule="evenodd" shape-rendering="crispEdges"/>`);
      if (outline > 0 && corners <= outlinedCorners)
        shapes.push(`<path d="${path}" fill="none" stroke="${hex}" stroke-width="${outline}" stroke-linejoin="round"/>`);
    }
    if (label) labels.push({ text: label, rle, color });
  }
  const content = shapes.join('') + placeLabels(labels, width, height);
  const tiles: Tile[] = [];
  for (let top = 0; top < height; top += tileSide)
    for (let left = 0; left < width; left += tileSide)
      tiles.push({ input: tile(content, left, top, width, height), top, left, unlimited: true });
  const drawn = loadSharp()(image.data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .composite(tiles)
    .removeAlpha();
  const file = await (format === 'png'
    ? drawn.png({ compressionLevel: 4 })
    : drawn.jpeg({ quality, chromaSubsampling: '4:4:4' })
  ).toBuffer();
  return new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
}

function expectWithin(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new ArgumentError(`drawOverlay: ${name} is ${String(value)}, expected ${least} to ${most}`);
}

const hexOf = (color: readonly number[]) => `#${color.map((value) => Math.round(value).toString(16).padStart(2, '0')).join('')}`;

/** The outlines of a mask as paths, each of whole parts: the holes of a part are in its path. */
async function pathsOf(rle: Rle): Promise<{ paths: string[]; corners: number }> {
  const turns = new Turns(cornersATurn);
  const paths: string[] = [];
  let [path, corners] = ['', 0];
  for (const { outer, holes } of await polygonsFromRle(rle)) {
    for (const ring of [outer, ...holes]) {
      path += pathOf(ring);
      corners += ring.length / 2;
      if (turns.due(ring.length / 2)) await turns.next();
    }
    if (path.length >= pathCharacters) {
      paths.push(path);
      path = '';
    }
  }
  if (path) paths.push(path);
  return { paths, corners };
}

/** A ring turns at each corner, first up or down. */
function pathOf(ring: Ring): string {
  let path = `M${ring[0]} ${ring[1]}`;
  for (let i = 2; i < ring.length; i += 4) path += `V${ring[i + 1]}${i + 2 < ring.length ? `H${ring[i + 2]}` : ''}`;
  return `${path}Z`;
}

function tile(content: string, left: number, top: number, width: number, height: number): Buffer {
  const [tileWidth, tileHeight] = [Math.min(tileSide, width - left), Math.min(tileSide, height - top)];
  const view = `width="${tileWidth}" height="${tileHeight}" viewBox="${left} ${top} ${tileWidth} ${tileHeight}"`;
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${view}>${content}</svg>`);
}
