/** A picture of labels as a mask of each: the other way round than drawing masks. */
import { compressRuns, type Rle } from './rle';
import { Turns } from './turns';

const pixelsATurn = 50_000;

/**
 * The masks of labels 0 to `count - 1`.
 * @param labels - `[height, width]`; a pixel of another label is in no mask.
 */
export async function rlesOfLabels(labels: ArrayLike<number>, [height, width]: Rle['size'], count: number): Promise<Rle[]> {
  const turns = new Turns(pixelsATurn);
  const runs: number[][] = Array.from({ length: count }, () => []);
  const ends = new Float64Array(count); // of the runs so far, in pixels down the columns
  const turn = (label: number, at: number) => {
    runs[label]?.push(at - (ends[label] as number));
    ends[label] = at;
  };
  let [open, at] = [count, 0]; // `count` is none of them
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++, at++) {
      const label = labels[y * width + x] as number;
      if (label === open) continue;
      turn(open, at);
      turn(label, at);
      open = label;
    }
    if (turns.due(height)) await turns.next();
  }
  turn(open, at);
  const rles: Rle[] = [];
  for (const [label, of] of runs.entries()) {
    if (ends[label] !== at) turn(label, at);
    rles.push({ size: [height, width], counts: compressRuns(of) });
    if (turns.due(of.length)) await turns.next();
  }
  return rles;
}
