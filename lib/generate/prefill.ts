/** Reading prompts: in pieces, into a cache, keeping the states that are asked for on the way. */
import type { KeyValueCache } from '../models/llama/key_value_cache';
import type { LlamaModel } from '../models/llama/model';
import { concat } from '../ops/concat';
import { gatherRows } from '../ops/gather_rows';
import { reshape } from '../ops/reshape';
import { slice } from '../ops/slice';
import { noGradients } from '../tensor/ambient';
import { tensor } from '../tensor/create';
import { Scope, tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

export interface ReadPrompt {
  /** `[1, dim]`: the normed state that predicts the first token of the answer. */
  readonly last: Tensor;
  /** `[capture.length, dim]`, normed. */
  readonly captured?: Tensor;
}

/**
 * Reads `embeddings` [1, tokens, dim] behind what `cache` holds, which has room. One layer a step; only enqueues. No scope owns
 * what it returns.
 */
export function* readPrompt(
  model: LlamaModel,
  embeddings: Tensor,
  cache: KeyValueCache,
  { capture, pieceTokens, enqueue }: { capture: readonly number[]; pieceTokens: number; enqueue: <Result>(body: () => Result) => Result },
): Generator<void, ReadPrompt> {
  const [, tokens, dim] = embeddings.shape as readonly [number, number, number];
  const captured: { order: number[]; states: Tensor }[] = [];
  const temporary = new Set<Tensor>();
  const keep = (made: Tensor) => {
    temporary.add(Scope.disown(made));
    return made;
  };
  try {
    for (let begin = 0; ; begin += pieceTokens) {
      const end = Math.min(begin + pieceTokens, tokens);
      const piece = end - begin === tokens ? embeddings : enqueue(() => keep(slice(embeddings, 1, begin, end)));
      const offsets = enqueue(() => keep(tensor(cache.lengths, [cache.batch], 'i32')));
      const pageTable = enqueue(() => keep(cache.pageTable()));
      const layers = model.layerByLayer(piece, { offsets, pageTable }, cache);
      let layer = enqueue(() => layers.next());
      try {
        while (!layer.done) {
          yield;
          layer = enqueue(() => layers.next());
        }
      } finally {
        layers.return(undefined as never);
      }
      const x = keep(layer.value);
      cache.lengths[0] = (cache.lengths[0] as number) + end - begin;
      const isLast = end === tokens;
      const order = [...capture.keys()].filter((i) => (capture[i] as number) >= begin && (capture[i] as number) < end);
      const index = [...order.map((i) => (capture[i] as number) - begin), ...(isLast ? [end - begin - 1] : [])];
      const rows = (from: number, to: number, states: Tensor) => slice(states, 0, from, to);
      if (index.length > 0) {
        // The norm of the rows that somebody wants, not of all.
        const states = enqueue(() =>
          keep(tidy(() => model.norm.forward(gatherRows(reshape(x, [end - begin, dim]), tensor(index, [index.length], 'i32'))))),
        );
        if (order.length > 0) captured.push({ order, states: enqueue(() => keep(rows(0, order.length, states))) });
        if (isLast) {
          const last = enqueue(() => Scope.disown(rows(order.length, index.length, states)));
          return { last, captured: enqueue(() => inOrder(captured)) };
        }
      }
    }
  } finally {
    for (const made of temporary) made.dispose();
  }
}

/** The captured states in the order in which they were asked for. */
function inOrder(captured: readonly { order: readonly number[]; states: Tensor }[]): Tensor | undefined {
  if (captured.length === 0) return undefined;
  const place = captured.flatMap(({ order }) => order);
  const index = [...place.keys()].map((i) => place.indexOf(i));
  return Scope.disown(
    noGradients(() =>
      tidy(() =>
        gatherRows(
          concat(
            captured.map(({ states }) => states),
            0,
          ),
          tensor(index, [index.length], 'i32'),
        ),
      ),
    ),
  );
}
