/** What is asked of a model. */
import type { SamplingOptions } from '../generate/options';
import type { ImageSource } from '../image/decode';
import type { EncodedImage } from './encoded_image';

/** A path, the bytes of a file, pixels, or an image that `encodeImage` has read. */
export type ImageInput = ImageSource | EncodedImage;

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
  /** At least one mask; goes with `constrained`. Default false. */
  forceSegmentation?: boolean;
  /** Instead of the system text the model was trained with. */
  system?: string;
  /** Ends the request within one token, with an AbortedError. */
  signal?: AbortSignal;
}

export interface AnswerRequest extends AnswerOptions {
  image: ImageInput;
  /** What is asked. Text, all of it: no token can be written into it. `&lt;` and `&gt;` are read as `<` and `>`. */
  prompt: string;
}

export interface ChatOptions extends AnswerOptions {
  image: ImageInput;
}
