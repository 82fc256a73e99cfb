import type { Dtype } from '../../native';
import { Linear, Module } from '../../nn';
import type { Tensor } from '../../tensor/tensor';

/** Two linear layers with an activation between, in the blocks of encoder (GELU) and decoder (ReLU). */
export class MlpBlock extends Module {
  readonly lin1: Linear;
  readonly lin2: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(dim: number, mlpDim: number, activation: (x: Tensor) => Tensor, dtype: Dtype) {
    super();
    this.lin1 = new Linear(dim, mlpDim, { dtype });
    this.lin2 = new Linear(mlpDim, dim, { dtype });
    this.#activation = activation;
  }

  /** `[..., dim]` to the same, added to `residual`. */
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.lin2.forward(this.#activation(this.lin1.forward(x)), residual);
  }
}
