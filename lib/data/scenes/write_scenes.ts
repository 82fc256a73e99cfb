/** Scenes as files: pictures, and what is known of them in the formats of the data sets that models are trained on. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortedError, ArgumentError } from '../../errors';
import { drawOverlay } from '../../image/overlay';
import { loadSharp } from '../../image/sharp';
import { writeJsonl } from '../jsonl';
import { phrasesOf, type Sample } from '../sample';
import type { SceneKey } from './key';
import { mgscConversations } from './mgsc';
import { panopticCategories, panopticOf } from './panoptic';
import { makeScene, type Scene } from './scene';
import { nameOf, sceneSample, splitLengths } from './scene_dataset';
import { taskNames } from './tasks';

export interface WriteScenesOptions extends Omit<SceneKey, 'index'> {
  /** Scenes, from number 0 of the split. */
  readonly count: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/** Scenes on the contact sheet, each beside itself with masks, and how many of them stand in a row. */
const [shown, shownInARow] = [12, 3];

/**
 * Fills a folder that is there: `images/`, `samples.jsonl` with a sample of each task of each scene, `panoptic/` and `panoptic.json`,
 * `annotations/` of MGSCData with the list of their files, and `contact_sheet.png`.
 * @returns how many samples there are.
 * @throws ArgumentError for a count or key that is none; AbortedError when `signal` fires.
 */
export async function writeScenes(folder: string, options: WriteScenesOptions): Promise<number> {
  const { seed, split, size, count } = options;
  if (!(Number.isInteger(count) && count >= 1 && count <= splitLengths[split]))
    throw new ArgumentError(
      `scenes: count is ${String(count)}, expected a whole number, 1 to ${splitLengths[split]}, as many as ${split} has`,
    );
  for (const name of ['images', 'panoptic', 'annotations']) await mkdir(join(folder, name));
  const images: unknown[] = [];
  const annotations: unknown[] = [];
  const tiles: Uint8Array[] = [];

  async function* samples(): AsyncGenerator<Sample> {
    for (let index = 0; index < count; index++) {
      if (options.signal?.aborted) throw new AbortedError('scenes: aborted', { cause: options.signal.reason });
      const scene = makeScene({ seed, split, index, size });
      const file = `${nameOf(scene.key)}.png`;
      const image = join(folder, 'images', file);
      const { pixels, segments } = panopticOf(scene);
      await writeFile(image, await pngOf(scene.pixels, size));
      await writeFile(join(folder, 'panoptic', file), await pngOf(pixels, size));
      await writeFile(join(folder, 'annotations', `mglmm_${nameOf(scene.key)}.json`), JSON.stringify(mgscConversations(scene)));
      images.push({ id: index, width: scene.width, height: scene.height, file_name: file });
      annotations.push({ image_id: index, file_name: file, segments_info: segments });
      if (index < shown) tiles.push(await pngOf(scene.pixels, size), await withMasks(scene));
      for (const task of taskNames) yield { ...sceneSample(scene, [task]), image };
      options.onProgress?.(index + 1);
    }
  }

  const written = await writeJsonl(join(folder, 'samples.jsonl'), samples(), { signal: options.signal });
  await writeFile(join(folder, 'panoptic.json'), JSON.stringify({ images, annotations, categories: panopticCategories }));
  const names = Array.from({ length: count }, (_, index) => `mglmm_${nameOf({ seed, split, index, size })}.json\n`);
  await writeFile(join(folder, `MGLMM_${split}_split.txt`), names.join(''));
  await writeFile(join(folder, 'contact_sheet.png'), await sheetOf(tiles, size));
  return written;
}

const pngOf = (data: Uint8Array, size: number): Promise<Buffer> =>
  loadSharp()(data, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer();

/** The grounded caption of a scene, drawn. */
function withMasks(scene: Scene): Promise<Uint8Array> {
  const sample = sceneSample(scene, ['gcg']);
  const phrases = phrasesOf(sample);
  const masks = sample.masks.map((rle, i) => ({ rle, label: phrases[i] }));
  return drawOverlay({ data: scene.pixels, width: scene.width, height: scene.height }, masks);
}

function sheetOf(tiles: readonly Uint8Array[], size: number): Promise<Buffer> {
  const gap = 4;
  const columns = Math.min(tiles.length, 2 * shownInARow);
  const rows = Math.ceil(tiles.length / columns);
  const at = (place: number) => gap + place * (size + gap);
  return loadSharp()({ create: { width: at(columns), height: at(rows), channels: 3, background: 'white' } })
    .composite(tiles.map((input, i) => ({ input: Buffer.from(input), left: at(i % columns), top: at(Math.floor(i / columns)) })))
    .png()
    .toBuffer();
}
