/** The picture of a training run: its curves, and pictures it was not trained on with their masks. */
import { type Colour, Picture } from './picture';
import { drawAxes, smoothed } from './plot';
import { kinds, type ShapeBatch, side } from './shapes';

/** Agreement with the truth after `step` steps. */
export interface Evaluation {
  step: number;
  iou: number;
}

const ink: Colour = [33, 37, 46];
const pale: Colour = [110, 118, 132];
const blue: Colour = [52, 101, 213];
const green: Colour = [22, 145, 97];
const maskColours: readonly Colour[] = [
  [255, 176, 46],
  [79, 195, 247],
  [236, 96, 160],
];
const columns = 8;
const zoom = 2;
const cell = side * zoom;
const gap = 12;
const left = 150;
const width = left + columns * (cell + gap) + 24;
const plotHeight = 190;

const colourOf = (channel: (index: 0 | 1 | 2) => number): Colour => [channel(0), channel(1), channel(2)];
const mix = (from: Colour, to: Colour, share: number) => colourOf((i) => from[i] + (to[i] - from[i]) * share);

/** A round number at or above `value`: 1, 2 or 5 times a power of ten, and four steps up to it. */
function ticksTo(value: number): number[] {
  const power = 10 ** Math.floor(Math.log10(value));
  const most = ([1, 2, 4, 10].find((factor) => factor * power >= value) ?? 10) * power;
  return [0, 0.25, 0.5, 0.75, 1].map((part) => Number((part * most).toPrecision(3)));
}

function drawCurves(picture: Picture, losses: readonly number[], agreement: readonly Evaluation[]): void {
  const [top, half] = [116, (width - 200) / 2];
  const frame = { top, width: Math.floor(half), height: plotHeight, end: losses.length, xLabel: 'step' };
  const lossAt = drawAxes(picture, { ...frame, left: 84, title: 'loss', ticks: ticksTo(Math.max(...losses)) });
  const line = (values: readonly number[]) => values.map((value, i) => lossAt(i + 1, value));
  picture.polyline(line(losses), blue, 1, 0.35);
  picture.polyline(line(smoothed(losses, Math.max(3, Math.round(losses.length / 25)))), blue, 3);
  const title = 'agreement with the truth (IoU)';
  const iouAt = drawAxes(picture, { ...frame, left: Math.floor(84 + half + 84), title, ticks: [0, 0.25, 0.5, 0.75, 1] });
  const points = agreement.map(({ step, iou }) => iouAt(step, iou));
  picture.polyline(points, green, 3);
  for (const point of points) picture.polyline([point, point], green, 8);
}

export function drawTraining(run: {
  losses: readonly number[];
  agreement: readonly Evaluation[];
  samples: ShapeBatch;
  /** Mask logits of `samples`. */
  logits: Float32Array;
}): Picture {
  const gridTop = 116 + plotHeight + 110;
  const picture = new Picture(width, gridTop + 3 * (cell + gap) + 24, [250, 251, 253]);
  picture.text('A small network learns to find what a word asks for', 24, 24, ink, { size: 3 });
  const last = run.agreement.at(-1);
  const summary = `${run.losses.length} steps on the CPU, then pictures it has never seen`;
  picture.text(last ? `${summary}: agreement ${(100 * last.iou).toFixed(0)} %` : summary, 24, 56, pale);
  drawCurves(picture, run.losses, run.agreement);

  const area = side * side;
  for (const [row, label] of ['picture', 'truth', 'prediction'].entries()) {
    picture.text(label, left - 14, gridTop + row * (cell + gap) + cell / 2 - 7, ink, { align: 'right' });
  }
  for (let column = 0; column < columns; column++) {
    const x = left + column * (cell + gap);
    const kind = run.samples.words[column] as number;
    const colour = maskColours[kind] as Colour;
    picture.text(kinds[kind] as string, x + cell / 2, gridTop - 22, ink, { align: 'centre' });
    const pixel = (px: number, py: number): Colour => {
      const at = column * 3 * area + py * side + px;
      return colourOf((channel) => 255 * Math.max(0, Math.min(1, run.samples.images[at + channel * area] as number)));
    };
    // A mask over the picture in grey, so that one sees what was found and what was passed over.
    const masked = (share: (index: number) => number) => (px: number, py: number) => {
      const [red, green, blue] = pixel(px, py);
      const grey = 30 + 0.3 * (0.3 * red + 0.59 * green + 0.11 * blue);
      return mix([grey, grey, grey + 6], colour, 0.92 * share(column * area + py * side + px));
    };
    const probability = (index: number) => 1 / (1 + Math.exp(-(run.logits[index] as number)));
    picture.image(x, gridTop, side, side, zoom, pixel);
    picture.image(
      x,
      gridTop + cell + gap,
      side,
      side,
      zoom,
      masked((index) => run.samples.masks[index] as number),
    );
    picture.image(x, gridTop + 2 * (cell + gap), side, side, zoom, masked(probability));
  }
  return picture;
}
