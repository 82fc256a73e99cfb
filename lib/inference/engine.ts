/** A model with all that its answers need. */
import { LengthError } from '../errors';
import { imageTokens } from '../models/mglmm/config';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import type { PromptOptions } from '../text/prompt';
import type { Tokenizer } from '../text/tokenizer';
import { imageEnd, imageId } from '../text/tokens';
import type { BaseWeights } from './adapted_model';
import type { SharedCache } from './shared_cache';

export interface Engine {
  readonly model: MglmmForCausalLM;
  readonly tokenizer: Tokenizer;
  /** How its conversations are written. */
  readonly style: PromptOptions;
  /** Of `[SEG]`; none in a model that makes no masks. */
  readonly segId?: number;
  readonly cache: SharedCache;
  readonly weights: BaseWeights;
}

/** Tokens that `ids` are for the language model. */
export function tokensOf({ model }: Engine, ids: readonly number[]): number {
  return ids.length + (ids.includes(imageId) ? imageTokens(model.config) - 1 : 0);
}

/**
 * How many of `ids` come before all that a request says: up to the image, and the token that closes it. They are always read in one
 * piece, so that what follows is the same to the bit whether they were read before or not.
 */
export function prefixLength({ tokenizer }: Engine, ids: readonly number[]): number {
  const image = ids.indexOf(imageId);
  return ids[image + 1] === tokenizer.idOf(imageEnd) ? image + 2 : image + 1;
}

/** @throws LengthError unless the model can see all of `ids` and a token more. */
export function expectRoom(engine: Engine, call: string, ids: readonly number[]): void {
  const { config } = engine.model;
  const [tokens, { context }] = [tokensOf(engine, ids), config.llama];
  if (tokens < context) return;
  throw new LengthError(
    `${call}: the prompt has ${tokens} tokens, ${imageTokens(config)} of them the image's, expected fewer than ${context}, the context of the model`,
  );
}
