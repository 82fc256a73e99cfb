/** How late timers are, and how long fs.readFile takes, while something goes on. */
import { readFile } from 'node:fs/promises';

const quantile = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;

export interface Watched {
  timers: number;
  lateMsMedian: number;
  lateMsP99: number;
  lateMsMost: number;
  readFileMsMedian: number;
  readFileMsP99: number;
}

export async function watch(until: Promise<unknown>): Promise<Watched> {
  let done = false;
  const end = until.then(() => {
    done = true;
  });
  const late: number[] = [];
  const reading: number[] = [];
  const reads = (async () => {
    while (!done) {
      const begin = performance.now();
      await readFile(__filename);
      reading.push(performance.now() - begin);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  while (!done) {
    const due = performance.now() + 5;
    await new Promise((resolve) => setTimeout(resolve, 5));
    late.push(performance.now() - due);
  }
  await Promise.all([end, reads]);
  late.sort((a, b) => a - b);
  reading.sort((a, b) => a - b);
  return {
    timers: late.length,
    lateMsMedian: quantile(late, 0.5),
    lateMsP99: quantile(late, 0.99),
    lateMsMost: quantile(late, 1),
    readFileMsMedian: quantile(reading, 0.5),
    readFileMsP99: quantile(reading, 0.99),
  };
}
