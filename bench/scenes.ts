/** npx tsx bench/scenes.ts [COUNT]: what a scene costs, in milliseconds of one thread: where things are and labels, a sample, pixels. */
import { cpus } from 'node:os';
import { makeScene, sceneSample, taskNames } from '../lib';

const count = Number(process.argv[2] ?? 300);

function main(): void {
  console.log(`${cpus()[0]?.model}, node ${process.version}, mean of ${count} scenes`);
  for (const size of [128, 256]) {
    const spent = { labels: 0, sample: 0, pixels: 0 };
    for (let i = -50; i < count; i++) {
      const begin = performance.now();
      const scene = makeScene({ seed: 4, split: 'train', index: 1000 + i, size });
      const made = performance.now();
      sceneSample(scene, [taskNames[(i + 50) % taskNames.length] ?? 'caption']);
      const said = performance.now();
      const drawn = scene.pixels.length > 0 ? performance.now() : Number.NaN;
      if (i < 0) continue; // until the code is compiled
      spent.labels += made - begin;
      spent.sample += said - made;
      spent.pixels += drawn - said;
    }
    const [labels, sample, pixels] = [spent.labels, spent.sample, spent.pixels].map((sum) => (sum / count).toFixed(2));
    const all = ((spent.labels + spent.sample + spent.pixels) / count).toFixed(2);
    console.log(`${size} px: labels ${labels} ms, sample ${sample} ms, pixels ${pixels} ms; all ${all} ms`);
  }
}

main();
