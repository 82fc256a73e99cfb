/**
 * How far masks cover each other: what the scores of referring segmentation are made of. gIoU and cIoU as MGLMM's code has them (and LISA,
 * arXiv 2308.00692, before it); docs/evaluation.md says which score takes which.
 */
import { emptyRle, mergeRles, type Rle, rleArea, rleIntersection, subtractRle } from '../image/rle';

/** Pixels of two masks. */
export interface Overlap {
  /** That both have. */
  readonly intersection: number;
  /** That at least one has. */
  readonly union: number;
}

/**
 * @param ignored - pixels that count for neither; default none.
 * @throws ArgumentError for malformed masks, ShapeError for masks of other sizes.
 */
export function overlapOf(predicted: Rle, truth: Rle, ignored?: Rle): Overlap {
  if (ignored) return overlapOf(subtractRle(predicted, ignored), subtractRle(truth, ignored));
  const intersection = rleIntersection(predicted, truth);
  return { intersection, union: rleArea(predicted) + rleArea(truth) - intersection };
}

/** All masks as one; of none a mask without a pixel. */
export const united = (masks: readonly Rle[], size: readonly [height: number, width: number]): Rle =>
  masks.length > 0 ? mergeRles(masks) : emptyRle(size);

/** `I / U`, and 1 where both masks are empty. The published code divides by `U + 1e-5`. */
export const overlapIou = ({ intersection, union }: Overlap): number => (union === 0 ? 1 : intersection / (union + 1e-5));

/**
 * gIoU: the mean of {@link overlapIou}, where each mask counts the same, however large. As published the mean is over `count + 1e-5`.
 * @param count - masks that were wanted; those without an overlap, for which nothing was predicted, count 0. Default those of `overlaps`.
 * @returns NaN for none.
 */
export function giou(overlaps: readonly Overlap[], count = overlaps.length): number {
  return count === 0 ? Number.NaN : overlaps.reduce((sum, one) => sum + overlapIou(one), 0) / (count + 1e-5);
}

/** cIoU: all intersections over all unions, so that large masks weigh most. As published, 0 where all masks are empty; NaN for none. */
export function ciou(overlaps: readonly Overlap[]): number {
  const [intersection, union] = [sumOf(overlaps, 'intersection'), sumOf(overlaps, 'union')];
  return overlaps.length === 0 ? Number.NaN : intersection / (union + 1e-10);
}

const sumOf = (overlaps: readonly Overlap[], key: keyof Overlap) => overlaps.reduce((sum, one) => sum + one[key], 0);

/** Pr@X: the share of masks with an IoU of `threshold` or more. NaN for none. */
export function precisionAt(overlaps: readonly Overlap[], threshold: number): number {
  return overlaps.filter(({ intersection, union }) => union > 0 && intersection / union >= threshold).length / overlaps.length;
}
