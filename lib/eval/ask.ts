/** Asks a model what a sample asks: each answer is generated, and nothing of the true one is shown to the model. */
import type { Sample } from '../data/sample';
import { ImageError, LengthError } from '../errors';
import type { RgbImage } from '../image/decode';
import type { Answer } from '../inference/answer';
import type { Mglmm } from '../inference/mglmm';
import type { AnswerOptions } from '../inference/request';
import { parseSegCap } from '../text/segcap';
import type { AnsweredTurn } from './record';

/** What is needed of a model. */
export type Answering = Pick<Mglmm, 'answerAll' | 'chat'>;

export interface AskedSample {
  readonly sample: Sample;
  readonly image: RgbImage;
}

/** Each question of these is asked by itself, as their benchmarks do; others go on from what the model answered before. */
const askedApart = new Set(['refer', 'reason', 'multiple', 'empty', 'semantic', 'instance', 'panoptic', 'gcg', 'mgsc', 'caption']);

/** The turns of each sample, answered: questions that stand alone together, conversations one after another. */
export async function ask(model: Answering, asked: readonly AskedSample[], options: AnswerOptions): Promise<AnsweredTurn[][]> {
  const isApart = ({ sample }: AskedSample) => sample.conversation.length === 1 || askedApart.has(sample.task);
  const apart = asked.filter(isApart);
  const questions = apart.flatMap(({ sample, image }) => sample.conversation.map(({ question }) => ({ image, prompt: question })));
  const answers = await answerEach(model, questions, options);
  const turns = new Map<AskedSample, AnsweredTurn[]>();
  for (const one of apart) turns.set(one, answeredTurns(one.sample, answers.splice(0, one.sample.conversation.length)));
  for (const one of asked) if (!isApart(one)) turns.set(one, answeredTurns(one.sample, await converse(model, one, options)));
  return asked.map((one) => turns.get(one) as AnsweredTurn[]);
}

/** What was asked and cannot be answered, however often it is asked. */
type Refusal = LengthError | ImageError;

const isRefusal = (value: unknown): value is Refusal => value instanceof LengthError || value instanceof ImageError;

type Result = Answer | Refusal;

/** Questions that cannot be answered together are asked one by one, so that one which is too long does not take the others along. */
async function answerEach(model: Answering, questions: Parameters<Mglmm['answerAll']>[0], options: AnswerOptions): Promise<Result[]> {
  const together = await orRefusal(() => model.answerAll(questions, options));
  if (!isRefusal(together)) return together;
  if (questions.length === 1) return [together];
  const results: Result[] = [];
  for (const question of questions) results.push(...(await answerEach(model, [question], options)));
  return results;
}

async function converse(model: Answering, { sample, image }: AskedSample, options: AnswerOptions): Promise<Result[]> {
  await using chat = model.chat({ image, ...options });
  const results: Result[] = [];
  for (const { question } of sample.conversation) results.push(await orRefusal(() => chat.ask(question)));
  return results;
}

/** That a question is too long for a model is a result; that memory ran out, or a device failed, is none. */
async function orRefusal<T>(work: () => Promise<T>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

function answeredTurns({ conversation, masks }: Sample, results: readonly Result[]): AnsweredTurn[] {
  let used = 0;
  return conversation.map(({ question, answer: truth }, i) => {
    const count = parseSegCap(truth).segments.length;
    const truthMasks = masks.slice(used, used + count).map(({ size, counts }) => ({ size, counts }));
    used += count;
    const result = results[i] as Result;
    if (isRefusal(result)) {
      return { question, truth, truthMasks, answer: '', segments: [], ids: [], repairs: [], error: result.message };
    }
    const { text, segments, ids, finish, repairs } = result;
    return {
      question,
      truth,
      truthMasks,
      answer: text,
      segments: segments.map(({ phrase, span, score, mask }) => ({ phrase, span, score, segmentation: mask.rle })),
      ids,
      finish,
      repairs: repairs.map(({ kind }) => kind),
    };
  });
}
