/** Samples of every task, and a model that knows their answers: what an evaluation says of it is known beforehand. */
import { writeFileSync } from 'node:fs';
import { type Answer, type AnswerOptions, type Chat, type ImageQuestion, Mask, type Sample, writeJsonl } from '../../lib';
import type { Answering } from '../../lib/eval/ask';
import { type Rle, rleFromRuns } from '../../lib/image/rle';
import { parseSegCap } from '../../lib/text/segcap';
import { picture } from './picture';
import { encodePng } from './png';
import type { temporaryFolder } from './weights';

const [width, height] = [48, 36];

/** Columns `from` to `to`. */
export const columns = (from: number, to: number): Rle =>
  rleFromRuns([from * height, (to - from) * height, (width - to) * height], [height, width]);

const [left, middle, right] = [columns(0, 12), columns(14, 30), columns(31, 48)];

/** One of each task, two turns where a task has them; questions are told apart by their number. */
export const questions: readonly Pick<Sample, 'task' | 'conversation' | 'masks'>[] = [
  { task: 'caption', conversation: [{ question: 'Describe 0.', answer: 'A red house stands beside a tall green tree.' }], masks: [] },
  { task: 'caption', conversation: [{ question: 'Describe 1.', answer: 'Two small boats sail on a wide blue lake.' }], masks: [] },
  {
    task: 'conversation',
    conversation: [
      { question: 'How many cats are there? 2', answer: 'There are two cats.' },
      { question: 'Which colour have they? 2', answer: 'Black.' },
    ],
    masks: [],
  },
  { task: 'refer', conversation: [{ question: 'Where is the car? 3', answer: 'Here is <p> the car </p> [SEG].' }], masks: [middle] },
  {
    task: 'semantic',
    conversation: [{ question: 'Show trees. 4', answer: 'Sure, <p> tree </p> [SEG] and <p> house </p> [SEG].' }],
    masks: [left, right],
  },
  {
    task: 'instance',
    conversation: [{ question: 'Show dogs. 5', answer: '<p> dog-1 </p> [SEG], <p> dog-2 </p> [SEG].' }],
    masks: [left, middle],
  },
  {
    task: 'panoptic',
    conversation: [{ question: 'Show all. 6', answer: '<p> sky </p> [SEG], <p> dog-1 </p> [SEG], <p> dog-2 </p> [SEG].' }],
    masks: [left, middle, right],
  },
  {
    task: 'multiple',
    conversation: [{ question: 'Show the dog and the hat. 7', answer: '<p> the dog </p> [SEG] and <p> the hat </p> [SEG].' }],
    masks: [left, right],
  },
  { task: 'empty', conversation: [{ question: 'Show the aeroplane. 8', answer: 'There is no aeroplane.' }], masks: [] },
  { task: 'reason', conversation: [{ question: 'What keeps one dry? 9', answer: '<p> The umbrella </p> [SEG] does.' }], masks: [right] },
  {
    task: 'gcg',
    conversation: [{ question: 'Describe with masks. 10', answer: '<p> A dog </p> [SEG] sits near <p> a big ball </p> [SEG].' }],
    masks: [left, middle],
  },
  {
    task: 'mgsc',
    conversation: [
      { question: 'Describe everything. 11', answer: 'There is <p> a house </p> [SEG].' },
      { question: 'What parts has the house? 11', answer: 'It has <p> a roof </p> [SEG] and <p> a door </p> [SEG].' },
    ],
    masks: [middle, columns(14, 20), columns(20, 30)],
  },
];

/** Writes them with pictures. @returns the path of the file. */
export async function writeQuestions(folder: ReturnType<typeof temporaryFolder>): Promise<{ path: string; samples: Sample[] }> {
  const samples = questions.map((one, i): Sample => ({ ...one, id: `${one.task}-${i}`, image: folder.file(`${i}.png`) }));
  for (const [i, { image }] of samples.entries()) {
    writeFileSync(image as string, encodePng({ width, height, pixels: picture(width, height, i).data }));
  }
  const path = folder.file('questions.jsonl');
  await writeJsonl(path, samples);
  return { path, samples };
}

/** What an oracle answers to a question: as the samples do, in the SegCap format. */
export interface Known {
  readonly answer: string;
  readonly masks: readonly Rle[];
}

export class Oracle implements Answering {
  /** Questions in the order they were asked. */
  readonly asked: string[] = [];
  readonly #known = new Map<string, Known>();
  readonly #spoil: (question: string, known: Known) => Known;

  constructor(samples: readonly Pick<Sample, 'conversation' | 'masks'>[], spoil = (_question: string, known: Known): Known => known) {
    this.#spoil = spoil;
    for (const { conversation, masks } of samples) {
      let used = 0;
      for (const { question, answer } of conversation) {
        const count = parseSegCap(answer).segments.length;
        this.#known.set(question, { answer, masks: masks.slice(used, used + count) });
        used += count;
      }
    }
  }

  async answerAll(all: readonly ImageQuestion[], { signal }: AnswerOptions = {}): Promise<Answer[]> {
    signal?.throwIfAborted();
    return all.map(({ prompt }) => this.#answer(prompt));
  }

  chat(): Chat {
    return { ask: async (prompt: string) => this.#answer(prompt), [Symbol.asyncDispose]: async () => {} } as unknown as Chat;
  }

  #answer(prompt: string): Answer {
    this.asked.push(prompt);
    const known = this.#known.get(prompt);
    if (!known) throw new Error(`nobody knows ${prompt}`);
    const { answer, masks } = this.#spoil(prompt, known);
    const { text, segments, repairs } = parseSegCap(answer);
    return {
      text,
      segments: segments.map(({ phrase, span }, i) => {
        const mask = new Mask(masks[i] as Rle, 0.5);
        return { phrase, span, mask, box: mask.box, score: 0.5 };
      }),
      usage: { promptTokens: 1, cachedTokens: 0, newTokens: 1, masks: segments.length },
      timings: { imageMs: 0, firstTokenMs: 0, tokensMs: 0, totalMs: 0, tokensPerSecond: 0, cached: { prefix: false } },
      finish: 'eos',
      repairs,
      ids: [1],
    };
  }
}
