import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface SampleTokenOptions {
  /** 0 takes the largest logit, the first of equals; default 1. */
  temperature?: number;
  /** Only the `topK` largest can be drawn; 0, the default, keeps all. */
  topK?: number;
  /** Only the fewest largest can be drawn whose probabilities sum to at least this; default 1, all. */
  topP?: number;
  /** Divides the positive and multiplies the other logits of the tokens in `previous`; default 1. */
  repetitionPenalty?: number;
  /** i32 `[batch, n]`, tokens that came before. */
  previous?: Tensor;
  /** i32 `[batch]`, how many of each row of `previous` count; default all. */
  previousLengths?: Tensor;
  /** u8 `[vocab]`, not 0 for tokens that must not be drawn. */
  bannedTokens?: Tensor;
  /** Of the random numbers, an integer from 0; default 0. */
  seed?: number;
  /** Where in the random numbers of `seed` this draw stands: count it up from token to token. Default 0. */
  offset?: number;
}

/**
 * Draws the next token of each row: penalty, bans, temperature, topK, topP, in this order. The ids depend on the arguments
 * alone (Philox4x32-10 keyed by `seed`, counted by `offset` and row), not on threads.
 * @param logits - `[batch, vocab]`, f32, bf16 or f16.
 * @returns i32 `[batch]`. Reading it rejects with an ArgumentError when a row has NaN, +Infinity or nothing left to draw, or
 *   a token of `previous` is not below vocab.
 * @throws ArgumentError when a number is out of range, ShapeError, DtypeError.
 */
export function sampleToken(logits: Tensor, options?: SampleTokenOptions): Tensor {
  return run('sampleToken', { ...options, logits }).ids as Tensor;
}
