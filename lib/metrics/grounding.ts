/**
 * Masks of phrases against the masks of a true description: mIoU by greedy pairing, and mask recall, where phrases have to agree, too.
 * GLaMM, Rasheed et al. 2023, arXiv 2311.03356, and its published code, which MGLMM's follows.
 */

/**
 * The IoUs of pairs: the largest of the matrix, then the largest of what is left without its row and column, while it is above 0.
 * @param iou - `[predictions][truths]`, or the other way round.
 */
export function greedyPairs(iou: readonly (readonly number[])[]): number[] {
  const pairs: number[] = [];
  for (const { value } of largestFirst(iou)) pairs.push(value);
  return pairs;
}

/** Of one picture: the mean over the pairs that were found, 0 without any. What is missed or made up costs nothing. */
export function pairedMiou(iou: readonly (readonly number[])[]): number {
  const pairs = greedyPairs(iou);
  return pairs.length === 0 ? 0 : pairs.reduce((sum, value) => sum + value, 0) / pairs.length;
}

/** As {@link pairedMiou} with all that is missed or made up counted as 0: over the larger of both numbers of masks. 1 for none at all. */
export function strictMiou(iou: readonly (readonly number[])[], predicted: number, truths: number): number {
  const most = Math.max(predicted, truths);
  return most === 0 ? 1 : greedyPairs(iou).reduce((sum, value) => sum + value, 0) / most;
}

export interface RecallOptions {
  /** Least IoU of a pair; default 0.5. */
  readonly iou?: number;
  /** Least similarity of its texts; default 0.5. */
  readonly similarity?: number;
  /**
   * Published: the first pair whose texts differ ends the search, and later pairs are lost even if they agree. False leaves out that pair
   * alone. Default true.
   */
  readonly stopsEarly?: boolean;
}

/**
 * How many of a picture's true masks are found: pairs from the largest IoU down, each with IoU and similarity of texts high enough.
 * @param iou - `[truths][predictions]`.
 * @param similarity - `[truths][phrases]`, from -1 to 1.
 * @returns undefined where a pair's prediction has no phrase: the published code leaves out such a picture altogether.
 */
export function recalled(
  iou: readonly (readonly number[])[],
  similarity: readonly (readonly number[])[],
  { iou: leastIou = 0.5, similarity: leastSimilarity = 0.5, stopsEarly = true }: RecallOptions = {},
): number | undefined {
  let found = 0;
  if (stopsEarly) {
    for (const { value, row, column } of largestFirst(iou)) {
      if (value < leastIou) break;
      const text = similarity[row]?.[column];
      if (text === undefined) return undefined;
      if (text < leastSimilarity) break;
      found++;
    }
    return found;
  }
  const agreeing = iou.map((row, i) => row.map((value, j) => ((similarity[i]?.[j] ?? -1) >= leastSimilarity ? value : 0)));
  for (const { value } of largestFirst(agreeing)) if (value >= leastIou) found++;
  return found;
}

/** The largest element, again and again, each time without the rows and columns of those before; ends at 0. The first of equals. */
export function* largestFirst(
  matrix: readonly (readonly number[])[],
): Generator<{ value: number; row: number; column: number }, void, undefined> {
  const [rows, columns] = [new Set<number>(), new Set<number>()];
  for (;;) {
    let best = { value: 0, row: -1, column: -1 };
    for (const [row, values] of matrix.entries()) {
      if (rows.has(row)) continue;
      for (const [column, value] of values.entries()) if (value > best.value && !columns.has(column)) best = { value, row, column };
    }
    if (best.row < 0) return;
    yield best;
    rows.add(best.row);
    columns.add(best.column);
  }
}
