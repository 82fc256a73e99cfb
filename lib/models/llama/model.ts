/**
 * The LLaMA decoder and its head, under the keys of Hugging Face's checkpoints. Touvron et al. 2023, arXiv 2302.13971.
 * `forward` is for training: whole sequences, gradients. `extend` is for generation: new tokens behind cached ones.
 */
import { recompute } from '../../autograd/recompute';
import { ShapeError } from '../../errors';
import type { Dtype } from '../../native';
import { Embedding } from '../../nn/embedding';
import { Linear } from '../../nn/linear';
import { Module } from '../../nn/module';
import { RmsNorm } from '../../nn/norm';
import { add } from '../../ops/add';
import { noGradients } from '../../tensor/ambient';
import { tensor } from '../../tensor/create';
import { Scope, tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import type { NewTokenPlaces } from './attention';
import { type LayerStates, LlamaBlock } from './block';
import type { LlamaConfig } from './config';
import { type CacheOptions, KeyValueCache } from './key_value_cache';
import type { CachedLayer } from './key_value_pool';

export interface LlamaForwardOptions {
  /** `[batch, seq]` u8, 0 at padding, which no token sees; default none is padding. */
  keyMask?: Tensor;
  /** Keep only each layer's input for backward and run the layer again there; default false. */
  recompute?: boolean;
}

export interface ModelOptions {
  /** Of the parameters; default f32. */
  dtype?: Dtype;
}

export class LlamaModel extends Module {
  readonly embedTokens: Embedding;
  readonly layers: readonly LlamaBlock[];
  readonly norm: RmsNorm;
  readonly config: LlamaConfig;

  constructor(config: LlamaConfig, { dtype = 'f32' }: ModelOptions = {}) {
    super();
    this.embedTokens = new Embedding(config.vocabSize, config.dim, { dtype });
    this.layers = Array.from({ length: config.depth }, () => new LlamaBlock(config, dtype));
    this.norm = new RmsNorm(config.dim, { eps: config.eps, dtype });
    this.config = config;
  }

  get dtype(): Dtype {
    return this.norm.weight.dtype;
  }

  /**
   * @param embeddings - `[batch, seq, dim]`, of `embedTokens` or spliced with an image's.
   * @returns `[batch, seq, dim]`, the normed states whose logits predict the next tokens.
   */
  forward(embeddings: Tensor, { keyMask, recompute: recomputed = false }: LlamaForwardOptions = {}): Tensor {
    const [batch, seq] = embeddings.shape as readonly [number, number, number];
    const positionIds = tensor(
      Int32Array.from({ length: batch * seq }, (_, i) => i % seq),
      [batch, seq],
    );
    const forward = (layer: LlamaBlock, h: Tensor) => tidy(() => layer.forward(h, { positionIds, keyMask }));
    // What the layer reads besides is an input too: the scope around may be over when backward runs it again.
    const again = (layer: LlamaBlock, h: Tensor) =>
      recompute(
        (input, positions, mask?: Tensor) => layer.forward(input, { positionIds: positions as Tensor, keyMask: mask }),
        ...[h, positionIds, ...(keyMask ? [keyMask] : [])],
      );
    const x = this.layers.reduce((h, layer) => (recomputed ? again(layer, h) : forward(layer, h)), embeddings);
    return this.norm.forward(x);
  }

  /** An empty cache for this model. */
  cache(options: Omit<CacheOptions, 'dtype'> = {}): KeyValueCache {
    return KeyValueCache.of(this.config, { ...options, dtype: this.dtype });
  }

  /**
   * Reads tokens that follow the cached ones, and appends them. Each row gives what it would give in a batch of its own.
   * @param embeddings - `[batch, seq, dim]`.
   * @param lengths - how many tokens of each row are real, the rest is padding on the right; default all.
   * @returns `[batch, seq, dim]`, the normed states, of no use at padding. No gradient.
   * @throws ShapeError when the cache has another number of rows.
   */
  extend(embeddings: Tensor, cache: KeyValueCache, lengths?: readonly number[]): Tensor {
    const [batch, seq] = embeddings.shape as readonly [number, number, number];
    if (batch !== cache.batch || (lengths && lengths.length !== batch)) {
      const rows = lengths && lengths.length !== batch ? `lengths of ${lengths.length}` : `a cache of ${cache.batch}`;
      throw new ShapeError(`extend: embeddings have ${batch} rows, ${rows}, expected as many`);
    }
    cache.reserve(cache.lengths.map((length, row) => length + (lengths?.[row] ?? seq)));
    return noGradients(() =>
      tidy(() => {
        const offsets = tensor(cache.lengths, [batch], 'i32');
        const places = { offsets, pageTable: cache.pageTable(), lengths: lengths && tensor(lengths, [batch], 'i32') };
        const layers = this.layerByLayer(embeddings, places, cache);
        let layer = layers.next();
        while (!layer.done) layer = layers.next();
        for (let row = 0; row < batch; row++) cache.lengths[row] = (cache.lengths[row] as number) + (lengths?.[row] ?? seq);
        const states = this.norm.forward(layer.value);
        layer.value.dispose();
        return states;
      }),
    );
  }

  /**
   * The layers over new tokens, one with each step, so that other work of the event loop comes in between. What `extend` is made
   * of; here the caller makes room in the cache and counts its tokens.
   * @returns `[batch, seq, dim]`, the states before the last norm, which no scope owns. No gradient.
   */
  *layerByLayer(embeddings: Tensor, places: NewTokenPlaces, cache: KeyValueCache): Generator<void, Tensor> {
    let states: LayerStates = { x: embeddings };
    const drop = ({ x, update }: LayerStates) => {
      if (x !== embeddings) x.dispose();
      update?.dispose();
    };
    try {
      for (const [i, layer] of this.layers.entries()) {
        const before = states;
        states = noGradients(() => tidy(() => layer.extend(before, places, cache.layers[i] as CachedLayer)));
        for (const made of [states.x, states.update as Tensor]) Scope.disown(made);
        drop(before);
        yield;
      }
      const { x, update } = states;
      return update ? noGradients(() => Scope.disown(add(x, update))) : x;
    } finally {
      drop(states);
    }
  }
}

/** A decoder with its head: what a LLaMA or Vicuna checkpoint holds. */
export class LlamaForCausalLM<Decoder extends LlamaModel = LlamaModel> extends Module {
  readonly model: Decoder;
  /** Absent where the head is the embedding table. */
  readonly lmHead?: Linear;

  constructor(config: LlamaConfig, model: Decoder) {
    super();
    this.model = model;
    if (!config.tiedHead) this.lmHead = new Linear(config.dim, config.vocabSize, { bias: false, dtype: model.dtype });
  }

  /** A decoder and its head with the sizes of `config`; `load` or `initialize` gives it values. */
  static of(config: LlamaConfig, options?: ModelOptions): LlamaForCausalLM {
    return new LlamaForCausalLM(config, new LlamaModel(config, options));
  }

  /** `[..., dim]` normed states to `[..., vocabSize]`. */
  logits(states: Tensor): Tensor {
    return this.lmHead ? this.lmHead.forward(states) : this.model.embedTokens.logits(states);
  }
}
