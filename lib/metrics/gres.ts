/**
 * Referring expressions that may mean nothing, or several things: the scores of gRefCOCO (GRES, Liu et al. 2023, arXiv 2306.00968).
 * A sample is rejected when the model says that there is no target.
 */
import { ciou, type Overlap, precisionAt } from './overlap';

export interface GresSample {
  /** Of what was predicted with what is wanted, each as one mask. Without a target its union is what was predicted. */
  readonly overlap: Overlap;
  readonly hasTarget: boolean;
  readonly isRejected: boolean;
}

export interface GresScores {
  /** Mean: without a target 1 if rejected, else 0; with one its IoU, 0 if rejected. */
  readonly giou: number;
  /** All intersections over all unions; what is predicted where nothing is to be found adds to the unions. */
  readonly ciou: number;
  /** Of the samples without a target, the share that was rejected: TP / (TP + FN). 0 where there is none, as published. */
  readonly nAcc: number;
  /** Of the samples with a target, the share that was not rejected: TN / (TN + FP). 0 where there is none. */
  readonly tAcc: number;
  /** Of the samples with a target, the share with an IoU of 0.7, 0.8, 0.9 or more; one that was rejected has none. */
  readonly precision: Readonly<Record<'0.7' | '0.8' | '0.9', number>>;
}

export function gresScores(samples: readonly GresSample[]): GresScores {
  const targeted = samples.filter(({ hasTarget }) => hasTarget);
  const empty = samples.filter(({ hasTarget }) => !hasTarget);
  const share = (count: number, of: number) => (of === 0 ? 0 : count / of);
  const found = targeted.map(({ overlap, isRejected }) => (isRejected ? { ...overlap, intersection: 0 } : overlap));
  const ious = found.map(({ intersection, union }) => share(intersection, union));
  const rejected = empty.filter(({ isRejected }) => isRejected).length;
  const precision = (threshold: number) => (targeted.length === 0 ? 0 : precisionAt(found, threshold));
  return {
    giou: share(
      ious.reduce((sum, iou) => sum + iou, rejected),
      samples.length,
    ),
    // What was rejected without a target has no mask; what was rejected in spite of one misses all of it.
    ciou: ciou([...found, ...empty.filter(({ isRejected }) => !isRejected).map(({ overlap }) => overlap)]),
    nAcc: share(rejected, empty.length),
    tAcc: share(targeted.filter(({ isRejected }) => !isRejected).length, targeted.length),
    precision: { '0.7': precision(0.7), '0.8': precision(0.8), '0.9': precision(0.9) },
  };
}
