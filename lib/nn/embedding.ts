import type { Dtype } from '../native';
import { embedding } from '../ops/embedding';
import { linear } from '../ops/linear';
import { randomNormal } from '../ops/random_normal';
import type { Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';

/** A table of rows, looked up by i32 ids: `[...]` to `[..., size]`. */
export class Embedding extends Module {
  /** `[rows, size]`. */
  readonly weight: Tensor;

  constructor(rows: number, size: number, { dtype = 'f32' }: { dtype?: Dtype } = {}) {
    super();
    this.weight = parameter([rows, size], dtype);
  }

  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids);
  }

  /** The table as the head of a decoder: `[..., size]` to `[..., rows]`. */
  logits(states: Tensor): Tensor {
    return linear(states, this.weight);
  }

  /** Standard normal, as PyTorch's Embedding. */
  protected override reset(seed: number): void {
    this.replace('weight', randomNormal(this.weight.shape, { seed, dtype: this.weight.dtype }));
  }
}
