import type { Dtype } from '../../native';
import { Module } from '../../nn/module';
import { RmsNorm } from '../../nn/norm';
import { add } from '../../ops/add';
import type { Tensor } from '../../tensor/tensor';
import { LlamaAttention, type NewTokenPlaces, type TokenPlaces } from './attention';
import type { LlamaConfig } from './config';
import type { CachedLayer } from './key_value_pool';
import { LlamaMlp } from './mlp';

/** States between two layers, `[batch, seq, dim]`: `x + update`, which the norm that reads them adds up on the way. */
export interface LayerStates {
  readonly x: Tensor;
  readonly update?: Tensor;
}

/** One decoder layer: attention and MLP, each behind a norm and added to its input. */
export class LlamaBlock extends Module {
  readonly selfAttn: LlamaAttention;
  readonly mlp: LlamaMlp;
  readonly inputLayernorm: RmsNorm;
  readonly postAttentionLayernorm: RmsNorm;

  constructor(config: LlamaConfig, dtype: Dtype) {
    super();
    const norm = { eps: config.eps, dtype };
    this.selfAttn = new LlamaAttention(config, dtype);
    this.mlp = new LlamaMlp(config, dtype);
    this.inputLayernorm = new RmsNorm(config.dim, norm);
    this.postAttentionLayernorm = new RmsNorm(config.dim, norm);
  }

  /** Whole sequences: `[batch, seq, dim]` to the same. */
  forward(x: Tensor, places: TokenPlaces): Tensor {
    const { x: sum, update } = this.#finish(x, this.selfAttn.forward(this.inputLayernorm.forward(x), places));
    return add(sum, update);
  }

  /** The states of this layer, behind the tokens in `cached`, where these are appended. */
  extend({ x, update }: LayerStates, places: NewTokenPlaces, cached: CachedLayer): Required<LayerStates> {
    const { sum, y } = update ? this.inputLayernorm.forwardSum(x, update) : { sum: x, y: this.inputLayernorm.forward(x) };
    return this.#finish(sum, this.selfAttn.extend(y, places, cached));
  }

  #finish(x: Tensor, attended: Tensor): Required<LayerStates> {
    const { sum, y } = this.postAttentionLayernorm.forwardSum(x, attended);
    return { x: sum, update: this.mlp.forward(y) };
  }
}
