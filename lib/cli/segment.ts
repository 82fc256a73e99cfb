/** `mglmm segment IMAGE`: Segment Anything on its own, by points and boxes. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { maskColor } from '../image/colors';
import type { RgbImage } from '../image/decode';
import { Mglmm } from '../inference/mglmm';
import { pixelPrompts } from '../inference/pixel_prompts';
import { SegmentAnything } from '../inference/segment_anything';
import type { PixelBox, PixelPoint, SegmentedMask, SegmentRequest } from '../inference/segmenting';
import { openModelFolder } from '../weights/model_folder';
import { defaultOut, inFolder, maskRecord, type OutputOptions, openFolder, planFolders, writeMask, writeOverlay } from './answer_files';
import { oneImage, readImage } from './image_inputs';
import { type ModelOptions, modelOptions, tellDefault, watchLoading } from './model_options';
import { numbers } from './numbers';
import { stylesOf } from './styles';
import type { Context } from './terminal';
import { refuseTyped } from './usage';

interface SegmentCommandOptions extends ModelOptions, OutputOptions {
  readonly point?: PixelPoint[];
  readonly not?: PixelPoint[];
  readonly box?: PixelBox[];
  readonly multimask?: boolean;
  readonly json?: boolean;
}

const collected =
  <Value>(read: (text: string) => number[]) =>
  (text: string, before: Value[] = []): Value[] => [...before, read(text) as Value];

export function define(command: Command, context: Context): void {
  command
    .argument('<image>', 'file of a picture, or - for one that is piped in')
    .option('--point <x,y>', 'in pixels, on the object; may be given again', collected<PixelPoint>(numbers(2, 'x,y')))
    .option('--not <x,y>', 'beside the object; may be given again', collected<PixelPoint>(numbers(2, 'x,y')))
    .option(
      '--box <left,top,right,bottom>',
      'around it; without points given again, of another object',
      collected<PixelBox>(numbers(4, 'left,top,right,bottom')),
    )
    .option('--multimask', 'three masks of each object, for a prompt that may mean several things')
    .option('--out <dir>', `folder of what is written; default a new one in ${defaultOut}`)
    .option('--overwrite', 'replace what is there')
    .option('--json', 'a line of JSON, and no files unless --out says where');
  modelOptions(command).action(async (path: string, options: SegmentCommandOptions) => {
    const { terminal, signal } = context;
    if (!options.point && !options.box) command.error('error: say what is meant with --point x,y or --box left,top,right,bottom');
    const request = requestOf(options);
    const input = await oneImage(path);
    const [folder] = options.json && options.out === undefined ? [] : await planFolders([input], options);
    const image = await readImage(input, context);
    expectPrompts(image, request);
    await using model = await openSegmenter(options, context);
    const masks = (await model.segmentAnything({ image, ...request, multimask: options.multimask, signal })).flat();
    const files = masks.map((_, index) => (folder === undefined ? undefined : `mask_${index}.png`));
    const records = masks.map(({ mask, box, score }, index) => ({ box, score, ...maskRecord(mask), file: files[index] }));
    const record = { image: path, width: image.width, height: image.height, masks: records };
    if (folder !== undefined) {
      await inFolder(folder, async () => {
        await openFolder(folder);
        for (const [index, { mask }] of masks.entries()) await writeMask(folder, index, mask);
        await writeOverlay(
          join(folder, 'overlay.png'),
          image,
          masks.map(({ mask }, index) => ({ mask, phrase: '', color: maskColor(index) })),
        );
        await writeFile(join(folder, 'segment.json'), `${JSON.stringify(record, undefined, 2)}\n`);
      });
    }
    if (options.json) terminal.out.write(`${JSON.stringify(record)}\n`);
    else {
      terminal.out.write(masks.map((mask, index) => `${lineOf(mask, files[index])}\n`).join(''));
      terminal.err.write(stylesOf(terminal.err).dim(`written to ${folder}\n`));
    }
  });
}

type Prompts = Pick<SegmentRequest, 'points' | 'labels' | 'boxes'>;

function requestOf({ point = [], not = [], box }: SegmentCommandOptions): Prompts {
  const points = [...point, ...not];
  const labels = points.map((_, i): 0 | 1 => (i < point.length ? 1 : 0));
  return { ...(points.length > 0 ? { points: [points], labels: [labels] } : {}), boxes: box };
}

/** Before the model is opened. @throws UsageError */
function expectPrompts(image: RgbImage, request: Prompts): void {
  try {
    pixelPrompts(image, { image, ...request }, 0);
  } catch (cause) {
    refuseTyped(cause);
  }
}

/** A file or folder of Segment Anything, or a whole model that has it. */
async function openSegmenter(
  { model, dtype, device, clip, sam, tokenizer, template }: SegmentCommandOptions,
  context: Context,
): Promise<Mglmm | SegmentAnything> {
  tellDefault(model, 'segments, which was not trained for points and little for boxes: masks and scores mean little', context);
  const { family } = await openModelFolder(model, { clip, sam });
  return watchLoading<Mglmm | SegmentAnything>(context, (watched) =>
    family === 'sam'
      ? SegmentAnything.load(model, { dtype, device, ...watched })
      : Mglmm.load(model, { dtype, device, clip, sam, tokenizer, template, ...watched }),
  );
}

function lineOf({ box, score, mask }: SegmentedMask, file: string | undefined): string {
  const place = mask.area === 0 ? 'empty' : `${box[2]} x ${box[3]} at ${box[0]}, ${box[1]}, ${mask.area} pixels`;
  return `${score.toFixed(2)}  ${place}${file === undefined ? '' : `  ${file}`}`;
}
