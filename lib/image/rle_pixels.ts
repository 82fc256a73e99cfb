/** Masks of run lengths as pixels, without a tensor: for threads that have no addon. */
import { expandRuns, type Rle } from './rle';

/**
 * `[height, width]`, 0 or 1; undefined when no pixel is set.
 * @throws ArgumentError for a malformed mask.
 */
export function rlePixels(rle: Rle): Uint8Array<ArrayBuffer> | undefined {
  const runs = expandRuns(rle);
  const [height, width] = rle.size;
  let pixels: Uint8Array<ArrayBuffer> | undefined;
  let [row, column] = [0, 0];
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i] as number;
    if (i % 2 === 0 || run === 0) {
      row += run;
      column += Math.floor(row / height);
      row %= height;
      continue;
    }
    pixels ??= new Uint8Array(height * width);
    for (let left = run; left > 0; ) {
      const length = Math.min(left, height - row);
      const end = (row + length) * width;
      for (let at = row * width + column; at < end; at += width) pixels[at] = 1;
      left -= length;
      row += length;
      if (row === height) [row, column] = [0, column + 1];
    }
  }
  return pixels;
}
