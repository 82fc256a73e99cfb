/** Phrases on masks: each in the thickest place of its mask, none over another. */
import { expandRuns, type Rle } from './rle';

export interface Label {
  readonly text: string;
  readonly rle: Rle;
  /** Of the mask, 0 to 255. */
  readonly color: readonly number[];
}

const longest = 48; // characters; more are cut, as are those that the picture has no room for
const tries = 12; // to find a free place, a line further each time

/** SVG of the labels. Widths are guessed: what a font really takes is known only when it is drawn. */
export function placeLabels(labels: readonly Label[], width: number, height: number): string {
  const size = Math.min(120, Math.max(11, Math.round(Math.min(width, height) / 26)));
  const taken: { x: number; y: number; halfWidth: number }[] = [];
  let svg = '';
  for (const { text, rle, color } of labels) {
    const point = thickest(rle);
    if (!point) continue;
    const shown = cut(text, Math.max(4, Math.min(longest, Math.floor((0.95 * width) / (latin * size)))));
    const halfWidth = (size * emsOf(shown)) / 2;
    const x = clamp(point.x, halfWidth + size / 4, width - halfWidth - size / 4);
    const start = clamp(point.y, size, height - size / 2);
    const free = (y: number) =>
      taken.every((one) => Math.abs(one.y - y) >= size * 1.15 || Math.abs(one.x - x) >= one.halfWidth + halfWidth);
    // By turns below and above.
    const places = Array.from({ length: tries }, (_, i) => start + size * 1.15 * (i % 2 ? -1 : 1) * Math.ceil(i / 2));
    const y = places.find((place) => place >= size && place <= height - size / 4 && free(place)) ?? start;
    taken.push({ x, y, halfWidth });
    const dark = color.map((value) => Math.round(value * 0.3));
    svg +=
      `<text x="${x.toFixed(1)}" y="${(y + size * 0.35).toFixed(1)}" text-anchor="middle" font-family="DejaVu Sans, Noto Sans, Arial, sans-serif" ` +
      `font-size="${size}" font-weight="bold" fill="#fff" stroke="rgb(${dark})" stroke-width="${(size / 6).toFixed(1)}" stroke-linejoin="round" ` +
      `paint-order="stroke">${escaped(shown)}</text>`;
  }
  return svg;
}

/** The middle of the longest run down a column, of those the one whose column is in the middle of the mask; none when it is empty. */
function thickest(rle: Rle): { x: number; y: number } | undefined {
  const height = rle.size[0];
  const runs = expandRuns(rle);
  let [best, most, position] = [[] as { x: number; y: number }[], 0, 0];
  for (let i = 0; i < runs.length; i++) {
    const end = position + (runs[i] as number);
    for (let at = position; i % 2 === 1 && at < end; ) {
      const x = Math.floor(at / height);
      const stop = Math.min(end, (x + 1) * height);
      if (stop - at >= most) {
        if (stop - at > most) best = [];
        most = stop - at;
        best.push({ x: x + 0.5, y: (at + stop) / 2 - x * height });
      }
      at = stop;
    }
    position = end;
  }
  return best[Math.floor(best.length / 2)];
}

const clamp = (value: number, least: number, most: number) => (least > most ? (least + most) / 2 : Math.min(Math.max(value, least), most));

function cut(text: string, most: number): string {
  const characters = [...text.replace(/\s+/g, ' ').trim()];
  return characters.length > most
    ? `${characters
        .slice(0, most - 1)
        .join('')
        .trim()}…`
    : characters.join('');
}

/** About as wide as bold sans serif is, by its height: Latin, and Chinese, Japanese, Korean and pictures. */
const [latin, wide] = [0.66, 1.05];
const emsOf = (text: string) =>
  [...text].reduce((sum, character) => sum + ((character.codePointAt(0) as number) >= 0x1100 ? wide : latin), 0);

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** XML has no control characters, not even escaped. */
const escaped = (text: string) =>
  text
    .replace(/[&<>"']/g, (character) => entities[character] as string)
    .replace(/[^\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
