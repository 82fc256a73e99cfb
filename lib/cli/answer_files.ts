/** What is written of an answer: the picture with its masks, each mask, and answer.json, which comes last and says that all is there. */
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError, MglmmError } from '../errors';
import type { RgbImage } from '../image/decode';
import { drawOverlay } from '../image/overlay';
import type { Answer, GroundedPhrase, Timings } from '../inference/answer';
import type { Mask } from '../masks/mask';
import { expectWritable } from '../weights/new_folder';
import type { ImageInput } from './image_inputs';
import type { Color } from './styles';

export interface OutputOptions {
  readonly out?: string;
  readonly overwrite?: boolean;
}

/** The folder of folders where none is named. */
export const defaultOut = 'mglmm-output';

/** What the commands write into a folder, which they replace as a whole. */
const ours = /^(mask_\d+\.png|overlay\.png|level_\d+\.png|(answer|explore|segment)\.json)$/;

const oursIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => ours.test(name)).sort();

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * A folder for each picture. One that is named is taken as it is, for several pictures with a folder of each in it; where none is named
 * they are new ones.
 * @throws ArgumentError for a folder in which there is something that would be replaced, unless it may be, and for one that cannot be
 *   written.
 */
export async function planFolders(images: readonly ImageInput[], { out, overwrite }: OutputOptions): Promise<string[]> {
  const folders: string[] = [];
  const isTaken = async (folder: string) => folders.includes(folder) || (out === undefined && (await exists(folder)));
  for (const { name } of images) {
    const wanted = out !== undefined && images.length === 1 ? out : join(out ?? defaultOut, name);
    let folder = wanted;
    for (let count = 2; await isTaken(folder); count++) folder = `${wanted}-${count}`;
    const [first] = overwrite ? [] : await oursIn(folder);
    if (first !== undefined)
      throw new ArgumentError(`${join(folder, first)} is there already: --overwrite replaces it, another --out leaves it`);
    await expectWritable(folder);
    folders.push(folder);
  }
  return folders;
}

/** Makes the folder, without what an earlier command left in it. */
export async function openFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await oursIn(folder)) await rm(join(folder, name));
}

/** A mask as files have it. */
export const maskRecord = ({ rle, area }: Mask) => ({ area, segmentation: { size: rle.size, counts: rle.counts } });

const segmentRecord = ({ phrase, span, box, score, mask }: GroundedPhrase, file?: string) => ({
  phrase,
  span,
  box,
  score,
  ...maskRecord(mask),
  ...(file === undefined ? {} : { file }),
});

const maskFile = (index: number) => `mask_${index}.png`;

/** What answer.json holds, and a line of `--json`. */
export function answerRecord(image: string, prompt: string, { width, height }: RgbImage, answer: Answer, withFiles: boolean) {
  const { text, segments, finish, repairs, usage, timings } = answer;
  return {
    image,
    width,
    height,
    prompt,
    text,
    segments: segments.map((segment, index) => segmentRecord(segment, withFiles ? maskFile(index) : undefined)),
    finish,
    repairs,
    usage,
    timings: tenths(timings),
  };
}

/** What is measured is not more exact than this. */
function tenths({ cached, ...figures }: Timings): Timings {
  const rounded = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(10 * value) / 10]));
  return { ...(rounded as typeof figures), cached };
}

export type AnswerRecord = ReturnType<typeof answerRecord>;

export interface DrawnMask {
  readonly mask: Mask;
  readonly phrase: string;
  readonly color: Color;
}

export async function writeOverlay(path: string, image: RgbImage, masks: readonly DrawnMask[]): Promise<void> {
  const drawn = masks.map(({ mask, phrase, color }) => ({ rle: mask.rle, label: phrase, color }));
  await writeFile(path, await drawOverlay(image, drawn));
}

export async function writeMask(folder: string, index: number, mask: Mask): Promise<string> {
  await writeFile(join(folder, maskFile(index)), await mask.png());
  return maskFile(index);
}

/** @param record - which says of each mask in which file it is. */
export async function writeAnswer(
  folder: string,
  image: RgbImage,
  { segments }: Answer,
  record: AnswerRecord,
  colorOf: (segment: GroundedPhrase, index: number) => Color,
): Promise<void> {
  await inFolder(folder, async () => {
    await openFolder(folder);
    for (const [index, { mask }] of segments.entries()) await writeMask(folder, index, mask);
    const masks = segments.map((segment, index) => ({ ...segment, color: colorOf(segment, index) }));
    await writeOverlay(join(folder, 'overlay.png'), image, masks);
    await writeFile(join(folder, 'answer.json'), `${JSON.stringify(record, undefined, 2)}\n`);
  });
}

/** @throws ArgumentError when the folder cannot be written into. */
export async function inFolder<Result>(folder: string, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (cause) {
    if (cause instanceof MglmmError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new ArgumentError(`${folder} cannot be written: ${message}`, { cause });
  }
}
