/** What generation is asked for, and what it tells on the way. */
import { ArgumentError } from '../errors';
import type { KeyValueCache } from '../models/llama/key_value_cache';
import type { LlamaForCausalLM } from '../models/llama/model';
import type { Tensor } from '../tensor/tensor';

/** Tokens by id. Where two states of a constraint allow the same, they had better give the same object: it is made into a tensor once. */
export type TokenSet = ({ readonly allowed: Iterable<number> } | { readonly forbidden: Iterable<number> }) & {
  /**
   * Should the choice fall on `of`, it is made again, among these. What a model does in the place of something that it may not do yet:
   * forbidden, it would rather go on with the next best word. Costs a wait for the choice before the next forward can begin.
   */
  readonly instead?: { readonly of: number; readonly among: TokenSet };
};

/** What keeps a row to a grammar. */
export interface TokenConstraint {
  /** What may come next; undefined: anything. */
  next(): TokenSet | undefined;
  /** Told of each token as it comes, the last one included. */
  accept(id: number): void;
}

/** How the next token is chosen from logits. */
export interface SamplingOptions {
  /** 0, the default, always takes the likeliest; else from 1e-5 to 1e5. */
  temperature?: number;
  /** Only the likeliest `topK` can come; 0, the default: all. */
  topK?: number;
  /** Only the fewest likeliest can come whose probabilities sum to this; default 1: all. */
  topP?: number;
  /** Makes tokens less likely that came before, in the answer or in `previousIds` of the prompt; default 1: no less. */
  repetitionPenalty?: number;
}

/** One row of a batch. Its tokens are those it would get alone, whatever else is in the batch. */
export interface GeneratePrompt {
  /** `[1, tokens, dim]`: what the model has not read yet, an image's features among it; at least one token. Yours. */
  embeddings: Tensor;
  /**
   * What the model has read before, of batch 1. A single prompt extends it in place: afterwards it holds all but the last token
   * that came. In a batch it is copied and stays as it is. Yours. Default: nothing was read.
   */
  cache?: KeyValueCache;
  /** Reads and answers this prompt, where that is an adaptation of the model that `generate` is given, of which it has the configuration. */
  llama?: LlamaForCausalLM;
  /** Places in `embeddings` whose states are wanted, such as those that predict the `[SEG]`s of earlier turns. */
  capture?: readonly number[];
  /** Tokens that the repetition penalty counts as having come before. */
  previousIds?: readonly number[];
  /** Of the random numbers, where temperature is above 0; default 0. */
  seed?: number;
  constraint?: TokenConstraint;
}

export interface GenerateOptions extends SamplingOptions {
  /** Ends a row. */
  eos: number | readonly number[];
  /** Default 512; fewer where the model's context is full. */
  maxNewTokens?: number;
  /** For each row a function that says whether a token is its last: {@link stopAtStrings}. */
  stop?: () => (id: number) => boolean;
  /** Ids whose predicting state is wanted, such as that of `[SEG]`. */
  captureIds?: readonly number[];
  /** Give the logits of every token; default false. */
  logits?: boolean;
  /** Tokens of a prompt that are read at once; default 1024. */
  prefillTokens?: number;
  /** Ends the whole within one token, with an AbortedError. */
  signal?: AbortSignal;
}

/** Why a row ends: a token of `eos`, `stop` said so, or there is no room for more. */
export type FinishReason = 'eos' | 'stop' | 'length';

/** A prompt was read: the first event of each row. */
export interface PromptRead {
  readonly type: 'prompt';
  readonly row: number;
  /** Tokens that were read, cached ones not counted. */
  readonly tokens: number;
  /** `[capture.length, dim]`, normed; undefined when nothing was to be captured. Yours to dispose. */
  readonly states?: Tensor;
}

export interface GeneratedToken {
  readonly type: 'token';
  readonly row: number;
  /** Counts the tokens of the row from 0. */
  readonly index: number;
  readonly id: number;
  /** `[1, dim]`: the normed state whose logits this token was chosen from, if its id is among `captureIds`. Yours to dispose. */
  readonly state?: Tensor;
  /** `[1, vocab]`, when they were asked for. Yours to dispose. */
  readonly logits?: Tensor;
  /** Of the last token of the row. */
  readonly finish?: FinishReason;
}

export type GenerateEvent = PromptRead | GeneratedToken;

const defaults = { maxNewTokens: 512, prefillTokens: 1024 } as const;

/** What {@link GenerateOptions} and a model's context come to. */
export interface Plan {
  readonly eos: ReadonlySet<number>;
  readonly captureIds: ReadonlySet<number>;
  readonly prefillTokens: number;
  /** Tokens each row may get. */
  readonly limits: readonly number[];
}

/**
 * @param context - tokens the model can see at once.
 * @throws ArgumentError when a prompt is empty, fills the context, or a number is out of range.
 */
export function planOf(prompts: readonly GeneratePrompt[], options: GenerateOptions, context: number): Plan {
  const refuse = (what: string, got: unknown, expected: string): never => {
    throw new ArgumentError(`generate: ${what} ${String(got)}, expected ${expected}`);
  };
  if (!(Array.isArray(prompts) && prompts.length > 0)) refuse('prompts are', prompts, 'at least one');
  const { eos, maxNewTokens = defaults.maxNewTokens, prefillTokens = defaults.prefillTokens, captureIds = [] } = options ?? {};
  for (const [name, count] of Object.entries({ maxNewTokens, prefillTokens })) {
    if (!(Number.isInteger(count) && count > 0)) refuse(`${name} is`, count, 'an integer from 1');
  }
  const ends = [eos].flat();
  if (!ends.every((id) => Number.isInteger(id) && id >= 0)) refuse('eos is', eos, 'ids from 0');
  const limits = prompts.map(({ embeddings, cache, capture = [] }, row) => {
    const { shape } = embeddings ?? {};
    if (shape?.length !== 3 || shape[0] !== 1 || shape[1] === 0) {
      refuse(`embeddings of prompt ${row} are`, shape ? `[${shape.join(', ')}]` : embeddings, '[1, tokens, dim] of at least one token');
    }
    if (cache && cache.batch !== 1) refuse(`the cache of prompt ${row} has a batch of`, cache.batch, '1');
    const tokens = shape?.[1] as number;
    for (const place of capture) {
      if (!(Number.isInteger(place) && place >= 0 && place < tokens))
        refuse(`capture of prompt ${row} has`, place, `0 to ${tokens - 1}, places in its embeddings`);
    }
    const read = (cache?.lengths[0] ?? 0) + tokens;
    if (read >= context) refuse(`prompt ${row} is`, `${read} tokens`, `fewer than ${context}, the context of the model`);
    // The last token that comes is not read any more, and needs no room.
    return Math.min(maxNewTokens, context - read + 1);
  });
  return { eos: new Set(ends), captureIds: new Set(captureIds), prefillTokens, limits };
}
