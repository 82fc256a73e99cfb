/**
 * COCO's panoptic format, https://cocodataset.org/#format-data: a file of what the segments of each picture are, and for each picture
 * another, whose colours are the segments. A picture is a sample: everything in it with its name.
 */
import { join, parse } from 'node:path';
import { z } from 'zod';
import { expectKnown } from '../../checks';
import { ArgumentError, DataError } from '../../errors';
import { decodeImage, type RgbImage } from '../../image/decode';
import { rlesOfLabels } from '../../image/rle_labels';
import { Turns } from '../../image/turns';
import { panopticQuestion } from '../../text/questions';
import { buildSegCap, type Span } from '../../text/segcap';
import { pictureFault } from '../decode_sample';
import { type Dataset, expectIndex, notInQuestions, type Sample } from '../sample';
import { expectNotAborted, Faults, readJson } from './faults';

export interface CocoPanopticOptions {
  /** The file, such as `panoptic_train2017.json`. */
  readonly annotations: string;
  /** Folder of the pictures of segments. */
  readonly segments: string;
  /** Folder of the pictures. */
  readonly images: string;
  readonly signal?: AbortSignal;
}

const fileName = z.string('expected the name of a file').min(1, 'expected the name of a file');
const number = z.int('expected a whole number');
const annotation = z.object({
  image_id: number,
  file_name: fileName,
  segments_info: z.array(z.object({ id: number, category_id: number, iscrowd: number.optional() }), 'expected a list of segments'),
});
/** Becomes what is said of it. */
const categoryName = z.string('expected a name').transform((name, context) => {
  const said = spoken(name);
  const tag = notInQuestions.find((one) => said.includes(one));
  if (said === '') context.addIssue(`is ${JSON.stringify(name)}, expected a name, before a dash where it has one`);
  if (tag !== undefined) context.addIssue(`is ${JSON.stringify(name)}, which has ${tag} in it, which means something in a prompt`);
  return said;
});
const content = z.object({
  images: z.array(z.object({ id: number, file_name: fileName })),
  annotations: z.array(z.unknown()).min(1, 'expected at least one'),
  categories: z.array(z.object({ id: number, name: categoryName })),
});

export class CocoPanopticDataset implements Dataset {
  /** Path of the file. */
  readonly name: string;
  readonly #options: CocoPanopticOptions;
  readonly #annotations: readonly unknown[];
  /** Names of files, by the number of the picture. */
  readonly #images: ReadonlyMap<number, string>;
  /** What one would call what is of it, by the number of the category. */
  readonly #categories: ReadonlyMap<number, string>;

  private constructor(options: CocoPanopticOptions, { images, annotations, categories }: z.infer<typeof content>) {
    [this.name, this.#options, this.#annotations] = [options.annotations, options, annotations];
    this.#images = new Map(images.map(({ id, file_name }) => [id, file_name]));
    this.#categories = new Map(categories.map(({ id, name }) => [id, name]));
  }

  /** Reads the whole file. @throws DataError for one that is not there, is no JSON or of another form; AbortedError when `signal` fired. */
  static async open(options: CocoPanopticOptions): Promise<CocoPanopticDataset> {
    const known = ['annotations', 'segments', 'images', 'signal'] satisfies (keyof CocoPanopticOptions)[];
    expectKnown('CocoPanopticDataset.open', options, known);
    for (const field of known.slice(0, 3))
      if (typeof options[field] !== 'string')
        throw new ArgumentError(`CocoPanopticDataset.open: ${field} is ${String(options[field])}, expected a path`);
    expectNotAborted(options.annotations, options.signal);
    const { data, error } = content.safeParse(await readJson(options.annotations));
    const [issue] = error?.issues ?? [];
    if (issue) throw new DataError(`${options.annotations}: ${issue.path.join('.')}: ${issue.message}`, { cause: error });
    return new CocoPanopticDataset(options, data as z.infer<typeof content>);
  }

  get length(): number {
    return this.#annotations.length;
  }

  /** @throws SampleError when the annotation, or its picture of segments, is not as it must be. */
  async get(index: number): Promise<Sample> {
    expectIndex(this, index);
    const faults = new Faults();
    const { data, error } = annotation.safeParse(this.#annotations[index]);
    if (error) faults.addIssues(error);
    faults.throwIfAny(this.name, index + 1);
    const { image_id, file_name, segments_info } = data as z.infer<typeof annotation>;
    const image = this.#images.get(image_id);
    if (image === undefined) faults.add('record', 'image_id', `is ${image_id}, which no picture has`);
    // Of a crowd nobody says where one ends and the next begins, so it is no instance.
    const isCrowd = ({ iscrowd = 0 }: { iscrowd?: number }) => iscrowd !== 0;
    const segments = segments_info.filter((one) => !isCrowd(one)).sort((a, b) => a.category_id - b.category_id);
    if (segments.length === 0)
      faults.add(
        'record',
        'segments_info',
        `${segments_info.length === 0 ? 'is empty' : 'has crowds alone'}, expected what is in the picture`,
      );
    for (const { category_id } of segments)
      if (!this.#categories.has(category_id)) faults.add('record', 'category_id', `is ${category_id}, which no category has`);
    const picture = await decodeImage(join(this.#options.segments, file_name)).catch((cause: unknown) => {
      faults.addAll(pictureFault(cause, 'file_name'));
    });
    faults.throwIfAny(this.name, index + 1);
    const masks = await masksOf(picture as RgbImage, segments, segments_info.filter(isCrowd), faults);
    faults.throwIfAny(this.name, index + 1);
    return {
      id: parse(file_name).name,
      image: join(this.#options.images, image as string),
      conversation: [{ question: panopticQuestion, answer: answerOf(segments.map((one) => this.#categories.get(one.category_id) ?? '')) }],
      masks,
      task: 'panoptic',
    };
  }
}

const pixelsATurn = 50_000;

interface Numbered {
  readonly id: number;
}

/** One a segment, in their order: its pixels are red + 256 green + 65536 blue; 0 is of none, as crowds are. */
async function masksOf({ data, height, width }: RgbImage, segments: readonly Numbered[], crowds: readonly Numbered[], faults: Faults) {
  const turns = new Turns(pixelsATurn);
  const places = new Map(segments.map(({ id }, place) => [id, place]));
  for (const { id } of [{ id: 0 }, ...crowds]) places.set(id, segments.length);
  const labels = new Uint16Array(height * width);
  const areas = new Uint32Array(segments.length + 1);
  const strange = new Set<number>();
  for (let pixel = 0; pixel < labels.length; pixel++) {
    const id = (data[3 * pixel] as number) + 256 * (data[3 * pixel + 1] as number) + 65536 * (data[3 * pixel + 2] as number);
    const place = places.get(id);
    if (place === undefined) strange.add(id);
    else {
      labels[pixel] = place;
      areas[place] = (areas[place] as number) + 1;
    }
    if (turns.due(1)) await turns.next();
  }
  for (const id of strange) faults.add('record', 'segments_info', `has no segment ${id}, of which there are pixels`);
  for (const [place, { id }] of segments.entries())
    if (areas[place] === 0) faults.add('empty_mask', 'segments_info', `has segment ${id}, of which there is no pixel`);
  return rlesOfLabels(labels, [height, width], segments.length);
}

/** `Sure, the image contains grass, person-1 and person-2.`, each with a mask. */
function answerOf(names: readonly string[]): string {
  const spans: Span[] = [];
  let text = 'Sure, the image contains ';
  for (const [i, name] of names.entries()) {
    if (i > 0) text += i === names.length - 1 ? ' and ' : ', ';
    const number = names.slice(0, i + 1).filter((other) => other === name).length;
    const phrase = names.filter((other) => other === name).length > 1 ? `${name}-${number}` : name;
    spans.push([text.length, text.length + phrase.length]);
    text += phrase;
  }
  return buildSegCap(`${text}.`, spans);
}

/** Names of COCO's regions that say what they are behind a dash. */
const turned: ReadonlyMap<string, string> = new Map([
  ['window-blind', 'blind window'],
  ['wall-wood', 'wooden wall'],
  ['wall-tile', 'tiled wall'],
  ['wall-stone', 'stone wall'],
  ['wall-brick', 'brick wall'],
  ['mirror-stuff', 'mirror stuff'],
  ['floor-wood', 'wooden floor'],
  ['door-stuff', 'door stuff'],
]);

const spoken = (name: string) => turned.get(name) ?? (name.split('-')[0] as string).trim();
