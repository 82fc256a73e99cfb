import type { Dtype } from '../native';
import { linear } from '../ops/linear';
import { pack } from '../ops/pack';
import { randomUniform } from '../ops/random_uniform';
import type { Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';

export interface LinearOptions {
  /** Default true. */
  bias?: boolean;
  dtype?: Dtype;
}

/** `y = x @ weight^T + bias`, `[..., in]` to `[..., out]`. */
export class Linear extends Module {
  /** `[out, in]`. */
  readonly weight: Tensor;
  /** `[out]`. */
  readonly bias?: Tensor;

  constructor(inSize: number, outSize: number, { bias = true, dtype = 'f32' }: LinearOptions = {}) {
    super();
    this.weight = parameter([outSize, inSize], dtype);
    if (bias) this.bias = parameter([outSize], dtype);
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }

  override pack(): this {
    if (this.weight.layout === 'rows') this.replace('weight', pack(this.weight));
    return this;
  }

  /** Uniform within 1 / sqrt(in), as PyTorch's Linear. */
  protected override reset(seed: number): void {
    const { shape, dtype } = this.weight;
    const bound = 1 / Math.sqrt(shape[1] as number);
    this.replace('weight', randomUniform(shape, { seed, low: -bound, high: bound, dtype }));
    if (this.bias) this.replace('bias', randomUniform(this.bias.shape, { seed, offset: 2 ** 32, low: -bound, high: bound, dtype }));
  }
}
