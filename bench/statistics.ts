/** Median and quartiles of the blocks of one side. */
export interface Summary {
  /** Seconds a run. */
  median: number;
  lowerQuartile: number;
  upperQuartile: number;
  blocks: number;
  runsPerBlock: number;
}

export function summary(samples: readonly number[], runsPerBlock: number): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    blocks: samples.length,
    runsPerBlock,
  };
}

/** Of ascending numbers, between two neighbours by their distance. */
function quantile(sorted: readonly number[], at: number): number {
  const place = at * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}
