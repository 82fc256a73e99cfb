import { ArgumentError } from '../errors';
import { add } from '../ops/add';
import { copy } from '../ops/copy';
import { dropout } from '../ops/dropout';
import { zeros } from '../ops/fill';
import { linear } from '../ops/linear';
import { loraLinear, mergeLora } from '../ops/lora_linear';
import { matmul } from '../ops/matmul';
import { randomUniform } from '../ops/random_uniform';
import { scale } from '../ops/scale';
import { onDevice } from '../tensor/device';
import type { Tensor } from '../tensor/tensor';
import { Linear } from './linear';
import { Module, parameter } from './module';

export interface LoraOptions {
  /** Rank of the update. */
  rank: number;
  /** The update is scaled by alpha / rank. */
  alpha: number;
  /** Share of the input's elements that the update does not see while it is trained: see `dropoutSeed`. Default 0. */
  dropout?: number;
}

/**
 * Low-rank adaptation of a frozen linear layer: `y = base(x) + alpha / rank * (x @ loraA^T) @ loraB^T`. Its keys are the
 * base's own and `lora_A`, `lora_B`. Hu et al. 2021, arXiv 2106.09685.
 */
export class LoraLinear extends Module {
  protected override readonly keys = { base: '', loraA: 'lora_A', loraB: 'lora_B' };
  readonly base: Linear;
  /** `[rank, in]`. */
  readonly loraA: Tensor;
  /** `[out, rank]`. */
  readonly loraB: Tensor;
  /** What the update is multiplied by. */
  readonly scaling: number;
  readonly dropout: number;
  /**
   * While this is set the update reads its input after dropout by this seed: another one for each layer and step, the same one
   * until the step's backward is enqueued.
   */
  dropoutSeed?: number;

  constructor(base: Linear, { rank, alpha, dropout: share = 0 }: LoraOptions) {
    super();
    if (!(Number.isInteger(rank) && rank > 0)) throw new ArgumentError(`lora: rank is ${String(rank)}, expected a whole number above 0`);
    if (!Number.isFinite(alpha)) throw new ArgumentError(`lora: alpha is ${String(alpha)}, expected a number`);
    if (!(share >= 0 && share < 1)) throw new ArgumentError(`lora: dropout is ${String(share)}, expected 0 up to, not including, 1`);
    const [outSize, inSize] = base.weight.shape as [number, number];
    this.base = base;
    const { dtype, device } = base.weight;
    this.loraA = parameter([rank, inSize], dtype, device);
    this.loraB = parameter([outSize, rank], dtype, device);
    this.scaling = alpha / rank;
    this.dropout = share;
  }

  /**
   * `[out, in]`, the update taken up: for owners that take a layer's weight apart. Made anew each time, for the scope around;
   * differentiable, and without dropout.
   */
  get weight(): Tensor {
    return add(this.base.weight, scale(matmul(this.loraB, this.loraA), this.scaling));
  }

  get bias(): Tensor | undefined {
    return this.base.bias;
  }

  /** @param residual - shape of the result, is added to it. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    const y = this.updated(x);
    return residual ? add(residual, y) : y;
  }

  private updated(x: Tensor): Tensor {
    // A base in 8 or 4 bits stays as it is: Dettmers et al. 2023, arXiv 2305.14314.
    const { dropoutSeed } = this;
    const xDropped = this.dropout > 0 && dropoutSeed !== undefined ? dropout(x, this.dropout, dropoutSeed) : undefined;
    if (this.base.quantization) {
      const low = scale(linear(xDropped ?? x, this.loraA), this.scaling);
      return linear(low, this.loraB, undefined, { residual: this.base.forward(x) });
    }
    return loraLinear(x, this.base.weight, this.loraA, this.loraB, { scaling: this.scaling, bias: this.base.bias, xDropped });
  }

  /**
   * The base with the update folded into its weight.
   * @throws ArgumentError when the base is held in 8 or 4 bits.
   */
  merge(): Linear {
    const { quantization } = this.base;
    if (quantization)
      throw new ArgumentError(`merge: the base is held in ${quantization}, expected its whole weight; merge before quantize`);
    const { weight, bias } = this.base;
    const merged = new Linear(weight.shape[1] as number, weight.shape[0] as number, { bias: bias !== undefined, dtype: weight.dtype });
    const state = new Map([['weight', mergeLora(weight, this.loraA, this.loraB, this.scaling)]]);
    if (bias) state.set('bias', copy(bias));
    merged.load(state);
    return merged;
  }

  /** loraA as PEFT's Kaiming uniform with a = sqrt(5), loraB 0: the update begins as nothing. */
  resetUpdate(seed: number): void {
    const [{ shape, dtype, device }, b] = [this.loraA, this.loraB];
    const bound = 1 / Math.sqrt(shape[1] as number);
    onDevice(device, () => {
      this.replace('loraA', randomUniform(shape, { seed, low: -bound, high: bound, dtype }));
      this.replace('loraB', zeros(b.shape, b.dtype));
    });
  }

  protected override reset(seed: number): void {
    this.resetUpdate(seed);
  }
}
