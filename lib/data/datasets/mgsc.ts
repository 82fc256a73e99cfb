/**
 * MGSCData (MGLMM, arXiv 2409.13407): of each picture a file, a list of conversations about the whole scene (`root`) and about things
 * with their parts (`subtree: ...`). A conversation is a sample, asked for as MGLMM is.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { z } from 'zod';
import { expectKnown } from '../../checks';
import { ArgumentError, DataError } from '../../errors';
import { parseRleAnnotation, type Rle } from '../../image/rle';
import { partQuestion, sceneQuestion } from '../../text/questions';
import { buildSegCap, type Span } from '../../text/segcap';
import { tagNames } from '../../text/segcap_stream';
import { type Dataset, expectIndex, type Sample, type SamplePlace } from '../sample';
import { expectNotAborted, Faults, readJson } from './faults';

export interface MgscOptions {
  /** Folder of the files. */
  readonly annotations: string;
  /** Folder of the pictures. */
  readonly images: string;
  /** File with names of annotations, one a line, such as `MGLMM_train_split.txt`; default all of the folder. */
  readonly split?: string;
  readonly signal?: AbortSignal;
}

/** Where a conversation stands; in files that could not be read, the error that tells why. */
interface Place {
  readonly file: string;
  readonly entry: number;
  readonly error?: Error;
}

const conversation = z.looseObject({
  file_name: z.string('expected the name of a picture').min(1, 'expected the name of a picture'),
  label: z.string("expected 'root', or what is described"),
  gcg_caption: z.string('expected a caption'),
  gcg_labels: z.array(z.string('expected a key').min(1, 'expected a key'), 'expected a list of keys'),
});
const item = z.looseObject({ mask: z.string('expected a mask as JSON').nullish() }, 'expected what the key is of');

export class MgscDataset implements Dataset {
  /** The folder of annotations, or the file that names some. */
  readonly name: string;
  readonly #images: string;
  readonly #places: readonly Place[];

  private constructor(name: string, images: string, places: readonly Place[]) {
    [this.name, this.#images, this.#places] = [name, images, places];
  }

  /**
   * Reads every file once, to count conversations. One without a caption is none; a file that cannot be read is one bad sample.
   * @throws DataError for a folder or split that is not there, or names nothing; AbortedError when `signal` fires.
   */
  static async open(options: MgscOptions): Promise<MgscDataset> {
    expectKnown('MgscDataset.open', options, ['annotations', 'images', 'split', 'signal'] satisfies (keyof MgscOptions)[]);
    const { annotations, images, split, signal } = options;
    for (const [field, value] of Object.entries({ annotations, images }))
      if (typeof value !== 'string') throw new ArgumentError(`MgscDataset.open: ${field} is ${String(value)}, expected a folder`);
    const name = split ?? annotations;
    const places: Place[] = [];
    for (const file of await filesOf(annotations, split)) {
      expectNotAborted(name, signal);
      places.push(...(await placesIn(join(annotations, file))));
    }
    if (places.length === 0) throw new DataError(`${name}: has no conversation with a caption`);
    return new MgscDataset(name, images, places);
  }

  get length(): number {
    return this.#places.length;
  }

  placeOf(index: number): SamplePlace {
    const { file, entry } = this.#placeAt(index);
    return { file, line: entry + 1 };
  }

  #placeAt(index: number): Place {
    expectIndex(this, index);
    return this.#places[index] as Place;
  }

  /** @throws SampleError when the conversation is not as it must be: it names its file, and its place there as the line. */
  async get(index: number): Promise<Sample> {
    const { file, entry, error } = this.#placeAt(index);
    const faults = new Faults();
    if (error) {
      faults.add('json', '', error.message);
      faults.throwIfAny(file, 1);
    }
    const list = (await readJson(file)) as readonly unknown[] | null;
    const { data, error: wrong } = conversation.safeParse(list?.[entry]);
    if (wrong) faults.addIssues(wrong);
    faults.throwIfAny(file, entry + 1);
    const { file_name, label, gcg_caption, gcg_labels, ...items } = data as z.infer<typeof conversation>;
    const masks = new Map(gcg_labels.map((key) => [key, maskOf(key, items[key], faults)]));
    const { text, phrases } = readCaption(gcg_caption, gcg_labels, faults);
    faults.throwIfAny(file, entry + 1);
    const shown = phrases.flatMap(({ key, span }) => {
      const mask = masks.get(key);
      return mask ? [{ span, mask }] : [];
    });
    return {
      id: `${parse(file).name}-${entry}`,
      image: join(this.#images, file_name),
      conversation: [
        {
          question: label === 'root' ? sceneQuestion : partQuestion(label.slice(label.indexOf(':') + 1).trim()),
          answer: buildSegCap(
            text,
            shown.map(({ span }) => span),
          ),
        },
      ],
      masks: shown.map(({ mask }) => mask),
      task: 'mgsc',
    };
  }
}

async function filesOf(folder: string, split: string | undefined): Promise<string[]> {
  const cannotBeRead = (what: string) => (cause: NodeJS.ErrnoException) => {
    throw new DataError(`${what}: ${cause.code === 'ENOENT' ? 'does not exist' : `cannot be read: ${cause.message}`}`, { cause });
  };
  if (split === undefined) return (await readdir(folder).catch(cannotBeRead(folder))).filter((name) => name.endsWith('.json')).sort();
  const lines = await readFile(split, 'utf8').catch(cannotBeRead(split));
  return lines
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

async function placesIn(file: string): Promise<Place[]> {
  try {
    const list = await readJson(file);
    if (!Array.isArray(list)) throw new DataError(`${file}: is no list, expected one of conversations`);
    return list.flatMap((value, entry) => (hasNoCaption(value) ? [] : [{ file, entry }]));
  } catch (error) {
    return [{ file, entry: 0, error: error as Error }];
  }
}

/** What is no record at all is a bad one. */
function hasNoCaption(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const caption = (value as { gcg_caption?: unknown }).gcg_caption ?? '';
  return typeof caption === 'string' && unquoted(caption) === '';
}

/** Captions come of a language model, which likes to put them into quotes. */
const unquoted = (caption: string) =>
  caption
    .trim()
    .replace(/^"+|"+$/g, '')
    .trim();

function maskOf(key: string, value: unknown, faults: Faults): Rle | undefined {
  const { data, error } = item.safeParse(value);
  if (error) faults.add('record', key, error.issues.map(({ message }) => message).join('; '));
  try {
    return parseRleAnnotation(data?.mask);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    faults.add('rle', `${key}.mask`, cause.message);
    return undefined;
  }
}

/**
 * A caption without its tags, and where phrases stand in it: `<dog_1>A brown dog</dog_1> lies on <sofa_2>the sofa</sofa_2>.` Each key
 * has one phrase; their order is that of the text.
 */
function readCaption(caption: string, keys: readonly string[], faults: Faults): { text: string; phrases: { key: string; span: Span }[] } {
  const refuse = (reason: string) => faults.add('tags', 'gcg_caption', reason);
  const phrases: { key: string; span: Span }[] = [];
  const tags = new Map<string, string>(keys.flatMap((key) => [[`<${key}>`, key] as const, [`</${key}>`, key] as const]));
  let text = '';
  let open: { key: string; start: number } | undefined;
  for (const piece of unquoted(caption).split(/(<[^<>]*>)/)) {
    const key = tags.get(piece);
    if (key === undefined) {
      if (/^<.*>$/.test(piece)) refuse(`has ${piece}, which is no key of gcg_labels`);
      text += piece;
    } else if (!piece.startsWith('</')) {
      if (open) refuse(`has ${piece} within <${open.key}>`);
      open = { key, start: text.length };
    } else {
      if (open?.key !== key) refuse(`has ${piece} where it is not open`);
      else phrases.push({ key, span: trimmed(text, open.start) });
      open = undefined;
    }
  }
  if (open) refuse(`has <${open.key}> and no end of it`);
  // Looked for in the end: what stands on both sides of a tag may make one.
  for (const name of tagNames) if (text.includes(name)) refuse(`has ${name} in it, which means something in a prompt`);
  for (const { key, span } of phrases) if (span[0] === span[1]) refuse(`has nothing between <${key}> and its end`);
  for (const key of new Set(keys)) {
    const count = phrases.filter((phrase) => phrase.key === key).length;
    if (count !== 1) refuse(`names ${key} ${count} times, expected once`);
  }
  return { text, phrases };
}

/** From `start` to the end of the text, without white space at either. */
function trimmed(text: string, start: number): Span {
  const phrase = text.slice(start);
  const begin = start + phrase.length - phrase.trimStart().length;
  return [begin, Math.max(begin, start + phrase.trimEnd().length)];
}
