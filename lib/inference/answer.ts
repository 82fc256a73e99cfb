/** What a model says to a picture and a question, and what it tells on the way. */
import type { FinishReason } from '../generate/options';
import type { Box } from '../image/rle';
import type { Mask } from '../masks/mask';
import type { Repair, Span } from '../text/segcap';

/** A phrase of an answer and where in the picture it is. */
export interface GroundedPhrase {
  /** Empty where the model made a mask and named nothing. */
  readonly phrase: string;
  /** Of the phrase in the answer's text, in UTF-16 units: from and to. */
  readonly span: Span;
  /** In the size of the picture. */
  readonly mask: Mask;
  /** Of the mask, in pixels of the picture; all 0 for an empty mask. */
  readonly box: Box;
  /** The intersection over union with the true mask that the model expects, from 0 to 1. */
  readonly score: number;
}

export interface Usage {
  /** What the model saw before its answer, the image's tokens among it. */
  readonly promptTokens: number;
  /** Those of them that an earlier request had read. */
  readonly cachedTokens: number;
  readonly newTokens: number;
  readonly masks: number;
}

/** In milliseconds. */
export interface Timings {
  /** Until the picture was decoded. */
  readonly imageMs: number;
  /** From the call until the first token was there. */
  readonly firstTokenMs: number;
  /** From the first token to the last; masks that were decoded between are part of it. */
  readonly tokensMs: number;
  /** From the call until all was there. */
  readonly totalMs: number;
  /** Tokens a second after the first one; 0 when there is but one. */
  readonly tokensPerSecond: number;
  /** Whether each came from a request before; undefined: it was not needed. */
  readonly cached: {
    /** CLIP's features. */
    readonly features?: boolean;
    /** What the language model makes of system text and image. */
    readonly prefix: boolean;
    /** Segment Anything's embedding; needed with the first mask. */
    readonly embedding?: boolean;
  };
}

export interface Answer {
  /** Plain: without the marks around phrases. */
  readonly text: string;
  /** One for each mask, in the order of the text. */
  readonly segments: readonly GroundedPhrase[];
  readonly usage: Usage;
  readonly timings: Timings;
  /** `eos`: the model ended it, `stop`: one of the request's strings came, `length`: no room for more. */
  readonly finish: FinishReason;
  /** Where the answer was not of the form it should have, and what was made of it. */
  readonly repairs: readonly Repair[];
  /** The tokens as they came. */
  readonly ids: readonly number[];
}

/** Texts joined are the text of the answer. */
export type AnswerEvent =
  | {
      readonly type: 'token';
      readonly id: number;
      /** What became certain with this token; may be empty. */
      readonly text: string;
      /** Whether the text belongs to a phrase, which a mask may follow. */
      readonly inPhrase: boolean;
    }
  | { readonly type: 'phrase'; readonly phrase: string; readonly span: Span }
  | {
      readonly type: 'mask';
      /** Counts the masks of the answer from 0; they come in order. */
      readonly index: number;
      readonly segment: GroundedPhrase;
    }
  | { readonly type: 'done'; readonly answer: Answer };
