/** The three normalisations of the model: `LayerNorm` (CLIP, SAM), `LayerNorm2d` (SAM's neck and upscaling), `RmsNorm` (LLaMA). */
import type { Dtype } from '../native';
import { ones, zeros } from '../ops/fill';
import { layerNorm } from '../ops/layer_norm';
import { layerNorm2d } from '../ops/layer_norm_2d';
import { addRmsNorm, rmsNorm } from '../ops/rms_norm';
import type { Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';

export interface NormOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  dtype?: Dtype;
}

/** Over the last axis, with weight and bias. */
export class LayerNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly #eps: number;

  constructor(size: number, { eps = 1e-5, dtype = 'f32' }: NormOptions = {}) {
    super();
    this.weight = parameter([size], dtype);
    this.bias = parameter([size], dtype);
    this.#eps = eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, this.#eps);
  }

  protected override reset(): void {
    this.replace('weight', ones(this.weight.shape, this.weight.dtype));
    this.replace('bias', zeros(this.bias.shape, this.bias.dtype));
  }
}

/** Over the channels of `[batch, channels, height, width]`, at every pixel. */
export class LayerNorm2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly #eps: number;

  constructor(channels: number, { eps = 1e-6, dtype = 'f32' }: NormOptions = {}) {
    super();
    this.weight = parameter([channels], dtype);
    this.bias = parameter([channels], dtype);
    this.#eps = eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm2d(x, this.weight, this.bias, this.#eps);
  }

  protected override reset(): void {
    this.replace('weight', ones(this.weight.shape, this.weight.dtype));
    this.replace('bias', zeros(this.bias.shape, this.bias.dtype));
  }
}

/** Over the last axis, by the root of the mean square, with a weight only. */
export class RmsNorm extends Module {
  readonly weight: Tensor;
  readonly #eps: number;

  constructor(size: number, { eps = 1e-5, dtype = 'f32' }: NormOptions = {}) {
    super();
    this.weight = parameter([size], dtype);
    this.#eps = eps;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.#eps);
  }

  /** `x + residual`, and its norm, in one pass. */
  forwardSum(x: Tensor, residual: Tensor): { sum: Tensor; y: Tensor } {
    return addRmsNorm(x, residual, this.weight, this.#eps);
  }

  protected override reset(): void {
    this.replace('weight', ones(this.weight.shape, this.weight.dtype));
  }
}
