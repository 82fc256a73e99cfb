/** What is asked of a model. */
import { type Check, expectOptions, integerFrom, isAnything, isBoolean, isSignal, isString, numberAbove, shown } from '../checks';
import { ArgumentError } from '../errors';
import type { SamplingOptions } from '../generate/options';
import { isImageSource } from '../image/decode';
import { promptIds, type Turn } from '../text/prompt';
import type { AnsweringOptions } from './answering';
import { EncodedImage, type ImageInput } from './encoded_image';
import { type Engine, expectRoom } from './engine';
import { grammarRules } from './grammar_constraint';

/** How answers are made. */
export interface AnswerOptions extends SamplingOptions {
  /** Default 512; fewer where the model's context is full. */
  maxNewTokens?: number;
  /** Of the random numbers, where `temperature` is above 0; default 0. The same seed, the same answer. */
  seed?: number;
  /** Ends the answer where one of these would come; it is left out of the text. */
  stop?: string | readonly string[];
  /** Keep to the form of phrases and masks: a phrase once begun is ended and followed by its mask. Default false. */
  constrained?: boolean;
  /** At least one mask, in the form that `constrained` keeps to. Default false. */
  forceSegmentation?: boolean;
  /** Instead of the system text the model was trained with. */
  system?: string;
  /** Name of an adapter that `Mglmm.loadAdapter` has opened, which answers; default the model as it is. */
  adapter?: string;
  /** Ends the request within one token, with an AbortedError. */
  signal?: AbortSignal;
}

/** One of several questions that are answered together. */
export interface ImageQuestion {
  image: ImageInput;
  /** What is asked. Text, all of it: no token can be written into it. `&lt;` and `&gt;` are read as `<` and `>`. */
  prompt: string;
  /** Instead of that of the options. */
  seed?: number;
  /** Instead of that of the options. */
  adapter?: string;
}

export interface AnswerRequest extends AnswerOptions, ImageQuestion {}

export interface ChatOptions extends AnswerOptions {
  image: ImageInput;
}

const isStop: Check = (value) =>
  [value].flat().every((one) => typeof one === 'string' && one !== '') ? undefined : 'a string, or strings, none of them empty';

/** As kernels/sample_token.cpp, which is asked when the picture and the prompt are read. */
const isTemperature: Check = (value) =>
  value === 0 || (typeof value === 'number' && value >= 1e-5 && value <= 1e5) ? undefined : '0, or a number from 1e-5 to 1e5';

export const optionChecks = {
  maxNewTokens: integerFrom(1),
  temperature: isTemperature,
  topK: integerFrom(0),
  topP: numberAbove(0, 1),
  repetitionPenalty: numberAbove(0),
  seed: integerFrom(0),
  stop: isStop,
  constrained: isBoolean,
  forceSegmentation: isBoolean,
  system: isString,
  adapter: isString,
  signal: isSignal,
} satisfies Record<keyof AnswerOptions, Check>;

export const questionChecks = { image: isAnything, prompt: isString, seed: integerFrom(0), adapter: isString } satisfies Record<
  keyof ImageQuestion,
  Check
>;
export const imageChecks = { image: isAnything, signal: isSignal };
export const requestChecks = { ...questionChecks, ...optionChecks };

const defaultNewTokens = 512;

/** What `options` are for the model. @throws ArgumentError for one that makes no masks and is asked to. */
export function answeringOptions({ tokenizer, segId }: Engine, call: string, options: AnswerOptions): AnsweringOptions {
  const { stop, constrained, forceSegmentation, maxNewTokens = defaultNewTokens, ...rest } = options;
  if (forceSegmentation && segId === undefined) {
    throw new ArgumentError(`${call}: forceSegmentation is true, but this model makes no masks`);
  }
  const keeps = (constrained || forceSegmentation) && segId !== undefined;
  return {
    ...rest,
    stops: stop === undefined ? [] : [stop].flat(),
    maxNewTokens,
    rules: keeps ? grammarRules(tokenizer, forceSegmentation) : undefined,
  };
}

/** The text that is asked. @throws ArgumentError for none. */
export function questionText(call: string, prompt: unknown): string {
  if (typeof prompt !== 'string') throw new ArgumentError(`${call}: prompt is ${shown(prompt)}, expected a string`);
  if (prompt.trim() === '') throw new ArgumentError(`${call}: prompt is empty, expected what is asked about the image`);
  return prompt.replaceAll('&lt;', '<').replaceAll('&gt;', '>'); // as the published demo does
}

/** The ids of a conversation whose last turn is to be answered. @throws LengthError when they do not fit into the model's context. */
export function idsOf(engine: Engine, call: string, turns: readonly Turn[], system: string | undefined): number[] {
  const ids = promptIds(engine.tokenizer, turns, { ...engine.style, system: system ?? engine.style.system });
  expectRoom(engine, call, ids);
  return ids;
}

/** @throws ArgumentError for what is no request about an image. */
export function expectRequest(call: string, request: unknown, checks: Readonly<Record<string, Check>>): void {
  expectOptions(call, request, checks);
  expectImage(call, (request as { image?: unknown }).image);
}

/** @throws ArgumentError for none, or what can be none. */
export function expectImage(call: string, image: unknown): void {
  if (image instanceof EncodedImage || isImageSource(image)) return;
  const got = image === undefined || image === null ? 'missing' : shown(image);
  throw new ArgumentError(`${call}: image is ${got}, expected a path, the bytes of a file, pixels, or what encodeImage gives`);
}
