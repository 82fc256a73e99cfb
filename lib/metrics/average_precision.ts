/**
 * Average precision of masks as COCO defines it (cocodataset.org/#detection-eval; pycocotools' COCOeval with `segm`), for one category.
 * Detections are matched from the highest score down, each to the free truth it overlaps most; precision is read at 101 recalls.
 */
import { type Rle, rleArea, rleIou } from '../image/rle';
import { Turns } from '../image/turns';

export interface DetectedMask {
  readonly rle: Rle;
  /** Default 1. Equal scores keep their order. */
  readonly score?: number;
}

export interface TrueMask {
  readonly rle: Rle;
  /** Default false. What lies in a crowd counts neither for nor against. */
  readonly isCrowd?: boolean;
}

/** One picture. */
export interface DetectionImage {
  readonly detections: readonly DetectedMask[];
  readonly truths: readonly TrueMask[];
  /** Pictures are taken in the order of this, which decides between equal scores; default as they were added. */
  readonly order?: number;
}

/** From 0 to 1; NaN where there is no truth of that size, for which pycocotools says -1. */
export interface AveragePrecision {
  /** Mean over IoU 0.50, 0.55, ... 0.95. */
  readonly ap: number;
  readonly ap50: number;
  readonly ap75: number;
  /** Of truths below 32 x 32 pixels, below 96 x 96, and above. */
  readonly apSmall: number;
  readonly apMedium: number;
  readonly apLarge: number;
  /** Average recall, with at most 1, 10, 100 detections a picture. */
  readonly ar1: number;
  readonly ar10: number;
  readonly ar100: number;
  readonly arSmall: number;
  readonly arMedium: number;
  readonly arLarge: number;
}

// In the floating-point numbers of numpy's linspace: a tie is decided by the last bit.
const thresholds = Array.from({ length: 10 }, (_, i) => (i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9)));
const recalls = Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : i * 0.01));
const most = 100;
const pairsATurn = 2_000; // of a detection and a truth, about a millisecond's
const areas = { all: [0, 1e10], small: [0, 32 ** 2], medium: [32 ** 2, 96 ** 2], large: [96 ** 2, 1e10] } as const;
type AreaName = keyof typeof areas;

/** What became of one picture's detections: by threshold, whether each hit, or is left out of account. */
interface Matched {
  readonly scores: readonly number[];
  readonly outcomes: readonly (readonly ('hit' | 'miss' | 'ignored')[])[];
  readonly truths: number;
}

interface MeasuredImage {
  readonly order: number;
  readonly scores: readonly number[];
  readonly areas: readonly number[];
  readonly truths: readonly { area: number; isCrowd: boolean }[];
  /** `[detections][truths]`. */
  readonly iou: readonly (readonly number[])[];
}

/** Adds up pictures, so that no mask is kept and each is looked at while the next is being predicted. */
export class MaskAveragePrecision {
  readonly #images: MeasuredImage[] = [];

  /** @throws ArgumentError, ShapeError for masks that do not fit. */
  add({ detections, truths, order = this.#images.length }: DetectionImage): void {
    const best = byScore(detections.map(({ score = 1 }) => score))
      .slice(0, most)
      .map((i) => detections[i] as DetectedMask);
    const [found, wanted] = [best.map(({ rle }) => rle), truths.map(({ rle }) => rle)];
    this.#images.push({
      order,
      scores: best.map(({ score = 1 }) => score),
      areas: found.map(rleArea),
      truths: truths.map(({ rle, isCrowd = false }) => ({ area: rleArea(rle), isCrowd })),
      iou: rleIou(
        found,
        wanted,
        truths.map(({ isCrowd = false }) => isCrowd),
      ),
    });
  }

  async scores(): Promise<AveragePrecision> {
    const images = [...this.#images].sort((a, b) => a.order - b.order);
    const turns = new Turns(pairsATurn);
    const by = async (area: AreaName, limit: number) => {
      const matched: Matched[] = [];
      for (const image of images) {
        matched.push(match(image, area, limit));
        if (turns.due(1 + image.scores.length * image.truths.length)) await turns.next();
      }
      return accumulate(matched, turns);
    };
    const [all, one, ten] = [await by('all', most), await by('all', 1), await by('all', 10)];
    const [small, medium, large] = [await by('small', most), await by('medium', most), await by('large', most)];
    return {
      ap: mean(all.precision),
      ap50: all.precision[0] as number,
      ap75: all.precision[5] as number,
      apSmall: mean(small.precision),
      apMedium: mean(medium.precision),
      apLarge: mean(large.precision),
      ar1: mean(one.recall),
      ar10: mean(ten.recall),
      ar100: mean(all.recall),
      arSmall: mean(small.recall),
      arMedium: mean(medium.recall),
      arLarge: mean(large.recall),
    };
  }
}

export async function averagePrecision(images: Iterable<DetectionImage>): Promise<AveragePrecision> {
  const sum = new MaskAveragePrecision();
  for (const image of images) sum.add(image);
  return sum.scores();
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Indices from the highest score down; equal ones in their order. */
const byScore = (scores: readonly number[]) => scores.map((_, i) => i).sort((a, b) => (scores[b] as number) - (scores[a] as number));

function match({ scores, areas: sizes, truths, iou }: MeasuredImage, area: AreaName, limit: number): Matched {
  const [least, largest] = areas[area];
  const outside = (size: number) => size < least || size > largest;
  const ignored = truths.map((truth) => truth.isCrowd || outside(truth.area));
  const order = [...truths.keys()].sort((a, b) => Number(ignored[a]) - Number(ignored[b])); // what counts first
  const outcomes = thresholds.map((threshold) => {
    const taken = new Set<number>();
    return scores.slice(0, limit).map((_, i) => {
      let [best, found] = [Math.min(threshold, 1 - 1e-10), -1];
      for (const j of order) {
        if (taken.has(j) && !truths[j]?.isCrowd) continue;
        if (found >= 0 && !ignored[found] && ignored[j]) break; // no truth that counts is given up for one that does not
        const value = iou[i]?.[j] as number;
        if (value < best) continue;
        [best, found] = [value, j];
      }
      if (found < 0) return outside(sizes[i] as number) ? 'ignored' : 'miss';
      taken.add(found);
      return ignored[found] ? 'ignored' : 'hit';
    });
  });
  return { scores: scores.slice(0, limit), outcomes, truths: ignored.filter((one) => !one).length };
}

/** Precision averaged over recalls, and the highest recall, by threshold. */
async function accumulate(images: readonly Matched[], turns: Turns): Promise<{ precision: number[]; recall: number[] }> {
  const truths = images.reduce((sum, image) => sum + image.truths, 0);
  if (truths === 0) return { precision: thresholds.map(() => Number.NaN), recall: thresholds.map(() => Number.NaN) };
  const places = images.flatMap((image, at) => image.scores.map((score, i) => ({ score, at, i })));
  const order = byScore(places.map(({ score }) => score)).map((i) => places[i] as (typeof places)[number]);
  const [precision, recall]: [number[], number[]] = [[], []];
  for (const t of thresholds.keys()) {
    const curve: { recall: number; precision: number }[] = [];
    let [hits, misses] = [0, 0];
    for (const { at, i } of order) {
      const outcome = images[at]?.outcomes[t]?.[i];
      if (outcome === 'hit') hits++;
      else if (outcome === 'miss') misses++;
      curve.push({ recall: hits / truths, precision: hits / (hits + misses + Number.EPSILON) });
    }
    precision.push(interpolated(curve));
    recall.push(hits / truths);
    if (turns.due(curve.length)) await turns.next();
  }
  return { precision, recall };
}

/** The mean over recalls 0, 0.01, ... 1 of the highest precision that is reached there or later. */
function interpolated(curve: readonly { recall: number; precision: number }[]): number {
  const highest = new Float64Array(curve.length + 1);
  for (let i = curve.length - 1; i >= 0; i--)
    highest[i] = Math.max(highest[i + 1] as number, (curve[i] as (typeof curve)[number]).precision);
  let [sum, at] = [0, 0];
  for (const recall of recalls) {
    while (at < curve.length && (curve[at] as (typeof curve)[number]).recall < recall) at++;
    sum += highest[at] as number;
  }
  return sum / recalls.length;
}
