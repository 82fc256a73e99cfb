/** A layer of CLIP's transformer: attention and MLP, each behind a layer norm and around which the residual goes. */
import type { Dtype } from '../../native';
import { LayerNorm, Linear, Module } from '../../nn';
import { attention } from '../../ops/attention';
import { gelu } from '../../ops/gelu';
import { quickGelu } from '../../ops/quick_gelu';
import { reshape } from '../../ops/reshape';
import type { Tensor } from '../../tensor/tensor';
import type { ClipConfig } from './config';

export class ClipAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly outProj: Linear;
  readonly #heads: number;

  constructor({ dim, heads }: ClipConfig, dtype: Dtype) {
    super();
    this.qProj = new Linear(dim, dim, { dtype });
    this.kProj = new Linear(dim, dim, { dtype });
    this.vProj = new Linear(dim, dim, { dtype });
    this.outProj = new Linear(dim, dim, { dtype });
    this.#heads = heads;
  }

  /** `[batch, tokens, dim]` to the same, added to `residual`. */
  forward(x: Tensor, residual: Tensor): Tensor {
    const [batch, tokens, dim] = x.shape as [number, number, number];
    const heads = (y: Tensor) => reshape(y, [batch, tokens, this.#heads, dim / this.#heads]);
    const [q, k, v] = [heads(this.qProj.forward(x)), heads(this.kProj.forward(x)), heads(this.vProj.forward(x))];
    return this.outProj.forward(reshape(attention(q, k, v, { tokensFirst: true }), [batch, tokens, dim]), residual);
  }
}

export class ClipMlp extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor({ dim, mlpDim, activation }: ClipConfig, dtype: Dtype) {
    super();
    this.fc1 = new Linear(dim, mlpDim, { dtype });
    this.fc2 = new Linear(mlpDim, dim, { dtype });
    this.#activation = activation === 'gelu' ? gelu : quickGelu;
  }

  /** `[..., dim]` to the same, added to `residual`. */
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.fc2.forward(this.#activation(this.fc1.forward(x)), residual);
  }
}

export class ClipLayer extends Module {
  readonly selfAttn: ClipAttention;
  readonly layerNorm1: LayerNorm;
  readonly mlp: ClipMlp;
  readonly layerNorm2: LayerNorm;

  constructor(config: ClipConfig, dtype: Dtype) {
    super();
    const { dim, eps } = config;
    this.selfAttn = new ClipAttention(config, dtype);
    this.layerNorm1 = new LayerNorm(dim, { eps, dtype });
    this.mlp = new ClipMlp(config, dtype);
    this.layerNorm2 = new LayerNorm(dim, { eps, dtype });
  }

  /** `[batch, tokens, dim]` to the same. */
  forward(x: Tensor): Tensor {
    const h = this.selfAttn.forward(this.layerNorm1.forward(x), x);
    return this.mlp.forward(this.layerNorm2.forward(h), h);
  }
}
