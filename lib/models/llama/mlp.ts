import type { Dtype } from '../../native';
import { Linear } from '../../nn/linear';
import { Module } from '../../nn/module';
import { swiglu } from '../../ops/swiglu';
import type { Tensor } from '../../tensor/tensor';
import type { LlamaConfig } from './config';

/** `down(silu(gate(x)) * up(x))`. Shazeer 2020, arXiv 2002.05202. */
export class LlamaMlp extends Module {
  readonly gateProj: Linear;
  readonly upProj: Linear;
  readonly downProj: Linear;

  constructor({ dim, mlpDim }: LlamaConfig, dtype: Dtype) {
    super();
    const options = { bias: false, dtype };
    this.gateProj = new Linear(dim, mlpDim, options);
    this.upProj = new Linear(dim, mlpDim, options);
    this.downProj = new Linear(mlpDim, dim, options);
  }

  /** `[batch, seq, dim]` to the same. */
  forward(x: Tensor): Tensor {
    return this.downProj.forward(swiglu(this.gateProj.forward(x), this.upProj.forward(x)));
  }
}
