/** Files of samples with pictures, as tests want them: good ones, and one of each kind that is bad. */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import sharp from 'sharp';
import type { Batch } from '../../lib/data/loader';
import type { SampleProblem } from '../../lib/errors';
import { type Rle, rleFromRuns } from '../../lib/image/rle';
import { picture } from './picture';
import type { temporaryFolder } from './weights';

const [width, height] = [12, 9];
export const sampleSize = [height, width] as const;

/** A mask of `run` pixels behind `start`. */
export const stripe = (start: number, run: number, size: readonly [number, number] = sampleSize): Rle =>
  rleFromRuns([start, run, size[0] * size[1] - start - run], size);

const answerOf = (masks: number) => `There ${Array.from({ length: masks }, (_, i) => `<p> thing ${i} </p> [SEG]`).join(', ')}.`;

/** A line of a file; `masks` may be anything. */
export const sampleLine = (id: string, image: string | undefined, masks: readonly unknown[] = [stripe(3, 20)]) =>
  JSON.stringify({
    id,
    image,
    conversation: [{ question: 'What is there?', answer: masks.length > 0 ? answerOf(masks.length) : 'Nothing.' }],
    masks,
    task: 'caption',
  });

/** Writes `count` good samples of 0 to 3 masks. @returns the path. */
export async function writeSamples(folder: ReturnType<typeof temporaryFolder>, count: number, name = 'set'): Promise<string> {
  await writePictures(folder);
  const lines = Array.from({ length: count }, (_, i) => {
    const masks = Array.from({ length: i % 4 }, (_, k) => stripe(5 * k + (i % 7), 1 + i + k));
    return sampleLine(`${name}-${i}`, `pictures/${i % 3}.png`, masks);
  });
  return folder.file(`${name}.jsonl`, `${lines.join('\n')}\n`);
}

/** A line that is bad in each way, with what is then wrong. */
export async function badLines(folder: ReturnType<typeof temporaryFolder>): Promise<[SampleProblem, string][]> {
  await writePictures(folder);
  folder.file('pictures/broken.png', (await pngOf(1)).subarray(0, 60));
  const one = 'pictures/1.png';
  return [
    ['json', '{"id": '],
    ['record', JSON.stringify({ id: 'no task', conversation: [{ question: 'What?', answer: 'A cat.' }] })],
    ['tags', sampleLine('tags', one, []).replace('Nothing.', 'A <p> cat.')],
    ['seg_count', sampleLine('count', one, []).replace('Nothing.', 'A <p> cat </p> [SEG].')],
    ['rle', sampleLine('rle', one, [{ size: sampleSize, counts: 'zz' }])],
    ['empty_mask', sampleLine('empty', one, [{ size: sampleSize, counts: [height * width] }])],
    ['mask_size', sampleLine('size', one, [stripe(1, 2, [width, height])])],
    ['no_image', sampleLine('none', undefined)],
    ['missing_image', sampleLine('missing', 'pictures/none.png')],
    ['image', sampleLine('broken', 'pictures/broken.png')],
  ];
}

async function writePictures(folder: ReturnType<typeof temporaryFolder>): Promise<void> {
  mkdirSync(folder.file('pictures'), { recursive: true });
  for (let i = 0; i < 3; i++) folder.file(`pictures/${i}.png`, await pngOf(i));
}

const pngOf = (seed: number) =>
  sharp(picture(width, height, seed + 1).data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();

/** A name for all that a batch holds. */
export function digestOf({ samples, images, masks, skipped, index }: Batch): string {
  const hash = createHash('sha256').update(JSON.stringify([samples, skipped, index, images.map((one) => [one?.width, one?.height])]));
  for (const bytes of [...images.flatMap((image) => image?.data ?? []), ...masks.flat()]) hash.update(bytes);
  return hash.digest('hex');
}
