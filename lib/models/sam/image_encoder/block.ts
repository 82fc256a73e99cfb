import type { Dtype } from '../../../native';
import { LayerNorm, Module } from '../../../nn';
import { gelu } from '../../../ops/gelu';
import type { Tensor } from '../../../tensor/tensor';
import type { SamConfig } from '../config';
import { MlpBlock } from '../mlp';
import { SamAttention } from './attention';

const kEps = 1e-6;

/** A block of the image encoder: attention and MLP, each behind a layer norm and around which the residual goes. */
export class SamBlock extends Module {
  readonly norm1: LayerNorm;
  readonly attn: SamAttention;
  readonly norm2: LayerNorm;
  readonly mlp: MlpBlock;

  constructor(config: SamConfig, index: number, dtype: Dtype) {
    super();
    const { dim, mlpDim, windowSize, globalBlocks } = config;
    this.norm1 = new LayerNorm(dim, { eps: kEps, dtype });
    this.attn = new SamAttention(config, globalBlocks.includes(index) ? undefined : windowSize, dtype);
    this.norm2 = new LayerNorm(dim, { eps: kEps, dtype });
    this.mlp = new MlpBlock(dim, mlpDim, gelu, dtype);
  }

  /** `[batch, height, width, dim]` to the same. */
  forward(x: Tensor): Tensor {
    const h = this.attn.forward(this.norm1.forward(x), x);
    return this.mlp.forward(this.norm2.forward(h), h);
  }
}
