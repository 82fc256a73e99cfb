/** What the language model makes of an image, each part once for whoever asks: CLIP's features, and all that stands up to the image. */
import { breathe } from '../generate/breathe';
import { readPrompt } from '../generate/prefill';
import type { KeyValueCache } from '../models/llama/key_value_cache';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import type { Tensor } from '../tensor/tensor';
import { type Engine, tokensOf } from './engine';
import { bytesOf, enqueue, expectGoing, kept, paced, reached } from './paced';
import type { Picture } from './picture';
import { type Lease, type Made, madeBy } from './shared_cache';

/** Prompts up to this are read at once: what stands up to an image always is. */
const pieceTokens = 4096;

export interface Prefix extends Disposable {
  readonly cache: KeyValueCache;
  /** Whether CLIP's features were there when it was read. */
  readonly featuresCached: boolean;
}

/** CLIP's features as the language model reads them: `[1, imageTokens, dim]`. */
export function leaseFeatures({ model, cache }: Engine, picture: Picture, signal?: AbortSignal): Promise<Lease<Tensor>> {
  const make = async (giveUp: AbortSignal): Promise<Made<Tensor>> => {
    const value = await paced(featureSteps(model, picture), giveUp);
    return { value, bytes: bytesOf(value), settled: reached(value) };
  };
  return cache.acquire(`features ${madeBy(model.clip, model.model.mmProjector)} ${picture.hash}`, make, signal);
}

/** @param ids - which end with the image. */
export function leasePrefix(engine: Engine, picture: Picture, ids: readonly number[], signal?: AbortSignal): Promise<Lease<Prefix>> {
  const make = (giveUp: AbortSignal) => readPrefix(engine, picture, ids, giveUp);
  return engine.cache.acquire(`prefix ${madeBy(engine.model.model)} ${picture.hash} ${ids.join()}`, make, signal);
}

function* featureSteps({ clip, model, config }: MglmmForCausalLM, picture: Picture): Generator<Tensor, Tensor> {
  let x = kept(() => clip.embed(picture.clipPixels(config.clip, model.dtype)));
  try {
    for (const layer of clip.layers) {
      yield x;
      const input = x;
      x = kept(() => layer.forward(input));
      input.dispose();
    }
    return kept(() => model.mmProjector.forward(clip.select(x)));
  } finally {
    x.dispose();
  }
}

async function readPrefix(engine: Engine, picture: Picture, ids: readonly number[], signal: AbortSignal): Promise<Made<Prefix>> {
  const { model } = engine;
  const features = await leaseFeatures(engine, picture, signal);
  const cache = model.model.cache({ capacity: tokensOf(engine, ids) });
  try {
    using embeddings = enqueue(signal, () => kept(() => model.embed([ids], features.value)));
    const steps = readPrompt(model.model, embeddings, cache, { capture: [], pieceTokens, enqueue: (body) => enqueue(signal, body) });
    const { last } = await breathe(steps, () => expectGoing(signal));
    // Whoever lets go of the features before they are there gives them up.
    const settled = reached(last).finally(() => {
      last.dispose();
      features[Symbol.dispose]();
    });
    const value = { cache, featuresCached: features.cached, [Symbol.dispose]: () => cache.dispose() };
    return { value, bytes: cache.bytes, settled };
  } catch (error) {
    cache.dispose();
    features[Symbol.dispose]();
    throw error;
  }
}
