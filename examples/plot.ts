/** A curve in a frame with axes. */
import type { Colour, Picture } from './picture';

const ink: Colour = [51, 56, 66];
const grid: Colour = [226, 229, 235];

export interface Plot {
  left: number;
  top: number;
  width: number;
  height: number;
  title: string;
  /** Numbers on the y axis, from bottom to top. */
  ticks: readonly number[];
  /** Last x value; the first is 0. */
  end: number;
  xLabel: string;
}

/** Draws frame, grid and labels; returns where the point (x, y) stands in the picture. */
export function drawAxes(picture: Picture, plot: Plot): (x: number, y: number) => [number, number] {
  const { left, top, width, height, title, ticks, end, xLabel } = plot;
  const [bottom, last] = [ticks[0] as number, ticks.at(-1) as number];
  const place = (x: number, y: number): [number, number] => [
    left + (x / end) * width,
    top + height - ((Math.max(bottom, Math.min(last, y)) - bottom) / (last - bottom)) * height,
  ];
  picture.text(title, left, top - 26, ink);
  for (const tick of ticks) {
    const [, y] = place(0, tick);
    picture.rectangle(left, Math.round(y), width, 1, grid);
    picture.text(String(tick), left - 8, Math.round(y) - 6, ink, { align: 'right' });
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const x = Math.round(left + part * width);
    picture.rectangle(x, top + height, 1, 5, ink);
    picture.text(String(Math.round(part * end)), x, top + height + 10, ink, { align: 'centre' });
  }
  picture.rectangle(left, top, 1, height, ink);
  picture.rectangle(left, top + height, width + 1, 1, ink);
  picture.text(xLabel, left + width / 2, top + height + 30, ink, { align: 'centre' });
  return place;
}

/** Mean over the last values up to each one, so that a noisy curve shows where it goes. */
export function smoothed(values: readonly number[], window: number): number[] {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - window + 1), i + 1);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
