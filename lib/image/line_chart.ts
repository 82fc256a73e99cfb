/** A picture of numbers over steps, through sharp. */
import sharp from 'sharp';

export interface Line {
  readonly name: string;
  /** x and y; what is not finite is left out. */
  readonly points: readonly (readonly [number, number])[];
  /** Of CSS. */
  readonly colour: string;
  readonly width?: number;
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  /** In pixels; default 900 and 420. */
  readonly width?: number;
  readonly height?: number;
}

const margin = { left: 74, right: 20, top: 44, bottom: 46 };
/** Of one line: more cannot be told apart on a screen. */
const maxPoints = 2000;

/** A PNG with axes, and the names of the lines in their colours; lines without points are left out. */
export async function lineChartPng(lines: readonly Line[], options: ChartOptions): Promise<Uint8Array> {
  const { title, xLabel, width = 900, height = 420 } = options;
  const finite = lines
    .map((line) => ({ ...line, points: thinned(line.points.filter((point) => point.every(Number.isFinite))) }))
    .filter(({ points }) => points.length > 0);
  const all = finite.flatMap(({ points }) => points);
  const [xTicks, yTicks] = [ticks(all.map(([x]) => x)), ticks(all.map(([, y]) => y))];
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  const share = (value: number, marks: readonly number[]) =>
    (value - (marks[0] as number)) / ((marks.at(-1) as number) - (marks[0] as number));
  const atX = (x: number) => (margin.left + share(x, xTicks) * inner.width).toFixed(1);
  const atY = (y: number) => (margin.top + (1 - share(y, yTicks)) * inner.height).toFixed(1);
  const text = (x: number | string, y: number | string, words: string, anchor = 'middle', colour = '#555') =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${colour}">${escaped(words)}</text>`;
  const parts = [
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...yTicks.map((y) => `<path d="M${margin.left} ${atY(y)}h${inner.width}" stroke="#e3e5ea"/>`),
    ...yTicks.map((y) => text(margin.left - 8, Number(atY(y)) + 4, label(y), 'end')),
    ...xTicks.map((x) => text(atX(x), height - margin.bottom + 18, label(x))),
    ...finite.map(({ points, colour, width: stroke = 1.5 }) => {
      const path = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${atX(x)} ${atY(y)}`).join('');
      return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${stroke}" stroke-linejoin="round"/>`;
    }),
    text(margin.left, 24, title, 'start', '#222'),
    text(margin.left + inner.width, height - 8, xLabel, 'end'),
    ...finite.map(({ name, colour }, i) => text(margin.left + inner.width - 110 * i, 24, name, 'end', colour)),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">${parts.join('')}</svg>`;
  return new Uint8Array(await sharp(Buffer.from(svg)).png().toBuffer());
}

function thinned<Point>(points: readonly Point[]): readonly Point[] {
  if (points.length <= maxPoints) return points;
  return Array.from({ length: maxPoints }, (_, i) => points[Math.round((i * (points.length - 1)) / (maxPoints - 1))] as Point);
}

/** Round numbers from at most the least to at least the most, about five steps of 1, 2 or 5 times a power of ten. */
function ticks(values: readonly number[]): number[] {
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const [from, to] = least < most ? [least, most] : Number.isFinite(least) ? [least, least + Math.max(1, Math.abs(least))] : [0, 1];
  const power = 10 ** Math.floor(Math.log10((to - from) / 5));
  const step = ([1, 2, 5].find((factor) => factor * power >= (to - from) / 5) ?? 10) * power;
  const first = Math.floor(from / step + 1e-9);
  const last = Math.ceil(to / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

const label = (value: number): string => String(Number(value.toPrecision(6)));
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
