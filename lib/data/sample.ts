/**
 * A sample, the one form in which everything is trained on, and what must hold of it. Its answers are in the SegCap format (MGLMM,
 * arXiv 2409.13407): each `[SEG]` announces one mask.
 */
import { ArgumentError, SampleError, type SampleFault } from '../errors';
import type { Rle } from '../image/rle';
import { parseSegCap } from '../text/segcap';
import { templates } from '../text/template';
import { addedTokens, imagePlaceholder, phraseEnd, phraseStart, segToken } from '../text/tokens';
import type { SceneKey } from './scenes/key';

export interface SampleTurn {
  readonly question: string;
  /** In the SegCap format. */
  readonly answer: string;
}

/** A picture that is drawn where another would be decoded: lib/data/scenes. */
export interface SceneImage {
  readonly scene: SceneKey;
}

export interface Sample {
  readonly id: string;
  /** Path of the picture, or the scene that it is drawn from. */
  readonly image?: string | SceneImage;
  /** At least one turn. */
  readonly conversation: readonly SampleTurn[];
  /** One a `[SEG]` of the answers, in their order; of the size of the picture. */
  readonly masks: readonly Rle[];
  /** What is asked for, such as `caption` or `refer`: a name for counting. */
  readonly task: string;
}

/** Where a sample is written, as messages say it. */
export interface SamplePlace {
  readonly file: string;
  /** From 1; in a file that is no list of lines, which of its records. */
  readonly line: number;
}

/** Samples by number: a file, a set of made-up scenes. Reading the same number twice gives the same. */
export interface Dataset {
  /** Its path, where it is a file. */
  readonly name: string;
  readonly length: number;
  /** @throws SampleError when the sample is not as it must be. */
  get(index: number): Promise<Sample>;
  /** Default `name`, and `index + 1`. */
  placeOf?(index: number): SamplePlace;
}

/** What is wrong with sample `index`, and where it is written. */
export function sampleErrorOf(dataset: Dataset, index: number, faults: readonly [SampleFault, ...SampleFault[]]): SampleError {
  const { file, line } = dataset.placeOf?.(index) ?? { file: dataset.name, line: index + 1 };
  return new SampleError(file, line, faults);
}

/** @throws ArgumentError for a number that no sample has. */
export function expectIndex({ name, length }: Dataset, index: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < length))
    throw new ArgumentError(`${name}: sample ${String(index)} was asked for, expected 0 to ${length - 1}`);
}

/** Names that would change what a prompt is: the image's place, the end of a turn, and who speaks. */
const reserved = [imagePlaceholder, '<s>', '</s>', ...new Set(Object.values(templates).flatMap(({ markers }) => markers))];
const ofAnswers: readonly string[] = [segToken, phraseStart, phraseEnd];
const added: readonly string[] = addedTokens;
/** All that means something in a prompt or an answer, and may stand in no question. */
export const notInQuestions: readonly string[] = [...reserved, ...added];
const notInAnswers = [...reserved, ...added.filter((token) => !ofAnswers.includes(token))];

/** What is wrong with a sample, without a look at its picture and into its masks; nothing for a good one. */
export function faultsOf({ image, conversation, masks }: Sample): SampleFault[] {
  const faults: SampleFault[] = [];
  let segs = 0;
  for (const [turn, { question, answer }] of conversation.entries()) {
    const [asked, answered] = [`conversation[${turn}].question`, `conversation[${turn}].answer`];
    const refuseNames = (field: string, text: string, names: readonly string[]) => {
      for (const name of names) {
        if (text.includes(name)) faults.push({ problem: 'tags', field, reason: `has ${name} in it, which means something in a prompt` });
      }
    };
    refuseNames(asked, question, notInQuestions);
    refuseNames(answered, answer, notInAnswers);
    const { segments, repairs } = parseSegCap(answer);
    segs += segments.length;
    for (const { kind, at, reason } of repairs) {
      // An answer that is a mask alone, as LISA's are, has no phrase.
      if (kind !== 'bare_seg') faults.push({ problem: 'tags', field: answered, reason: `${reason}, at ${at} of its plain text` });
    }
  }
  if (segs !== masks.length) {
    const wanted = `expected as many as there are ${segToken} in the answers, ${segs}`;
    faults.push({ problem: 'seg_count', field: 'masks', reason: `has ${masks.length}, ${wanted}` });
  }
  if (masks.length > 0 && image === undefined)
    faults.push({ problem: 'no_image', field: 'image', reason: 'is missing, but there are masks' });
  const [first] = masks;
  for (const [i, { size }] of masks.entries()) {
    if (first && (size[0] !== first.size[0] || size[1] !== first.size[1]))
      faults.push({
        problem: 'mask_size',
        field: `masks[${i}]`,
        reason: `is [${size.join(', ')}], expected [${first.size.join(', ')}], the size of the first`,
      });
  }
  return faults;
}

/** A sample of any data set, whether or not that looks at what it gives. @throws SampleError when it is not as it must be. */
export async function readSample(dataset: Dataset, index: number): Promise<Sample> {
  const sample = await dataset.get(index);
  const [fault, ...others] = faultsOf(sample);
  if (fault) throw sampleErrorOf(dataset, index, [fault, ...others]);
  return sample;
}

/** What a picture is called in messages and kept by: its path, or what its scene follows from. */
export const imageName = (image: string | SceneImage): string => (typeof image === 'string' ? image : JSON.stringify(image));

/** The phrase of each mask, empty where it has none. */
export function phrasesOf({ conversation }: Sample): string[] {
  return conversation.flatMap(({ answer }) => parseSegCap(answer).segments.map(({ phrase }) => phrase));
}
