import type { Dtype } from '../../native';
import { Module } from '../../nn/module';
import { RmsNorm } from '../../nn/norm';
import { add } from '../../ops/add';
import type { Tensor } from '../../tensor/tensor';
import { LlamaAttention, type TokenPlaces } from './attention';
import type { LlamaConfig } from './config';
import type { CachedLayer } from './key_value_cache';
import { LlamaMlp } from './mlp';

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

  /** `[batch, seq, dim]` to the same; appends `seq` positions to `cached` when it is given. */
  forward(x: Tensor, places: TokenPlaces, cached?: CachedLayer): Tensor {
    const attended = this.selfAttn.forward(this.inputLayernorm.forward(x), places, cached);
    const { sum, y } = this.postAttentionLayernorm.forwardSum(x, attended);
    return add(sum, this.mlp.forward(y));
  }
}
