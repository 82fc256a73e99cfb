/**
 * Whole pictures as segments of categories: panoptic quality (Kirillov et al. 2019, arXiv 1801.00868; panopticapi) and the mIoU of semantic
 * segmentation. Segments of one picture are apart from each other.
 */
import { emptyRle, mergeRles, type Rle, rleArea, rleFromRuns, rleIntersection, subtractRle } from '../image/rle';

export interface CategorySegment {
  readonly category: string;
  readonly rle: Rle;
}

/** One picture. */
export interface PanopticImage {
  readonly size: readonly [height: number, width: number];
  readonly predicted: readonly CategorySegment[];
  readonly truth: readonly CategorySegment[];
  /** Where nobody knows the truth, apart from `truth`: what is predicted there counts neither for nor against. Default nowhere. */
  readonly ignored?: Rle;
}

/**
 * Segments made apart: painted in their order, a later one over those before; what is covered whole is left out.
 * @param background - category of the pixels that are left; default none, so that nothing is predicted there. The published code says category 0.
 */
export function painted(segments: readonly CategorySegment[], size: readonly [number, number], background?: string): CategorySegment[] {
  const apart: CategorySegment[] = [];
  let covered = emptyRle(size);
  for (const { category, rle } of [...segments].reverse()) {
    const visible = subtractRle(rle, covered);
    if (rleArea(visible) > 0) apart.unshift({ category, rle: visible });
    covered = mergeRles([covered, rle]);
  }
  const rest = subtractRle(full(size), covered);
  return background !== undefined && rleArea(rest) > 0 ? [{ category: background, rle: rest }, ...apart] : apart;
}

/** One segment a category, as the published evaluation has them. */
export function byCategory(segments: readonly CategorySegment[]): CategorySegment[] {
  const merged = new Map<string, Rle>();
  for (const { category, rle } of segments) {
    const before = merged.get(category);
    merged.set(category, before ? mergeRles([before, rle]) : rle);
  }
  return [...merged].map(([category, rle]) => ({ category, rle }));
}

const full = ([height, width]: readonly [number, number]) => rleFromRuns([0, height * width], [height, width]);

export interface Quality {
  /** `sq * rq`. */
  readonly pq: number;
  /** Mean IoU of the matches. */
  readonly sq: number;
  /** `TP / (TP + FP / 2 + FN / 2)`. */
  readonly rq: number;
}

export interface PanopticScores extends Quality {
  /** Those that were seen, in truth or prediction; the figures above are means over them. NaN for none. */
  readonly categories: ReadonlyMap<string, Quality>;
}

interface Tally {
  iou: number;
  matches: number;
  surplus: number;
  missed: number;
}

/** Adds up pictures. */
export class PanopticQuality {
  readonly #tallies = new Map<string, Tally>();

  /** Segments match when they are of one category and their IoU, with the ignored part of the prediction taken out, is above 0.5. */
  add({ size, predicted, truth, ignored = emptyRle(size) }: PanopticImage): void {
    const free = new Set(predicted);
    for (const { category, rle } of truth) {
      const area = rleArea(rle);
      const match = [...free].find((one) => {
        if (one.category !== category) return false;
        const shared = rleIntersection(one.rle, rle);
        const iou = shared / (area + rleArea(one.rle) - shared - rleIntersection(one.rle, ignored));
        if (iou > 0.5) this.#of(category).iou += iou;
        return iou > 0.5;
      });
      if (match) {
        free.delete(match);
        this.#of(category).matches++;
      } else this.#of(category).missed++;
    }
    // What lies mostly where nobody knows the truth is not held against the prediction.
    for (const { category, rle } of free) if (rleIntersection(rle, ignored) <= rleArea(rle) / 2) this.#of(category).surplus++;
  }

  scores(): PanopticScores {
    const categories = new Map([...this.#tallies].map(([category, tally]) => [category, qualityOf(tally)]));
    const mean = (key: keyof Quality) => [...categories.values()].reduce((sum, one) => sum + one[key], 0) / categories.size;
    return { pq: mean('pq'), sq: mean('sq'), rq: mean('rq'), categories };
  }

  #of(category: string): Tally {
    const tally = this.#tallies.get(category) ?? { iou: 0, matches: 0, surplus: 0, missed: 0 };
    this.#tallies.set(category, tally);
    return tally;
  }
}

function qualityOf({ iou, matches, surplus, missed }: Tally): Quality {
  const sq = matches === 0 ? 0 : iou / matches;
  const rq = matches / (matches + surplus / 2 + missed / 2);
  return { pq: sq * rq, sq, rq };
}

export interface SemanticScores {
  /**
   * The IoUs of categories that are in the truth, summed, over how many are in truth or prediction: one that is made up costs its share.
   * NaN for none.
   */
  readonly miou: number;
  /** Of those in the truth. */
  readonly categories: ReadonlyMap<string, number>;
}

/** Adds up the pixels of pictures. Pixels with a truth and no prediction are missed. */
export class SemanticMiou {
  readonly #pixels = new Map<string, { shared: number; predicted: number; truth: number }>();

  add({ size, predicted, truth, ignored = emptyRle(size) }: PanopticImage): void {
    const [found, wanted] = [predicted, truth].map((segments) => new Map(byCategory(segments).map(({ category, rle }) => [category, rle])));
    for (const category of new Set([...(found?.keys() ?? []), ...(wanted?.keys() ?? [])])) {
      const [p, g] = [found?.get(category), wanted?.get(category)];
      const sums = this.#pixels.get(category) ?? { shared: 0, predicted: 0, truth: 0 };
      if (p && g) sums.shared += rleIntersection(p, g);
      if (p) sums.predicted += rleArea(p) - rleIntersection(p, ignored);
      if (g) sums.truth += rleArea(g);
      this.#pixels.set(category, sums);
    }
  }

  scores(): SemanticScores {
    const seen = [...this.#pixels].filter(([, { predicted, truth }]) => predicted + truth > 0);
    const categories = new Map(
      seen
        .filter(([, { truth }]) => truth > 0)
        .map(([category, { shared, predicted, truth }]) => [category, shared / (predicted + truth - shared)]),
    );
    return { miou: [...categories.values()].reduce((sum, iou) => sum + iou, 0) / seen.length, categories };
  }
}
