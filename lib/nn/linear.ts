import type { Dtype } from '../native';
import { add } from '../ops/add';
import { linear } from '../ops/linear';
import { pack } from '../ops/pack';
import { type QuantizedWeight, quantize } from '../ops/quantize';
import { quantizedLinear } from '../ops/quantized_linear';
import { randomUniform } from '../ops/random_uniform';
import { Scope } from '../tensor/scope';
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
  #quantized?: QuantizedWeight;

  constructor(inSize: number, outSize: number, { bias = true, dtype = 'f32' }: LinearOptions = {}) {
    super();
    this.weight = parameter([outSize, inSize], dtype);
    if (bias) this.bias = parameter([outSize], dtype);
  }

  /** @param residual - shape of the result, is added to it. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    if (!this.#quantized) return linear(x, this.weight, this.bias, { residual });
    const y = quantizedLinear(x, this.#quantized, this.bias);
    return residual ? add(residual, y) : y;
  }

  /** Whether the weight is held in 8 or 4 bits; `weight` has no values then. */
  get quantization(): 'int8' | 'int4' | undefined {
    return this.#quantized?.kind;
  }

  override pack(): this {
    if (!this.#quantized && this.weight.layout === 'rows' && this.weight.device === 'cpu') this.replace('weight', pack(this.weight));
    return this;
  }

  override dispose(): void {
    super.dispose();
    this.#forget();
  }

  protected override quantizeOwn(kind: 'int8' | 'int4'): void {
    if (this.#quantized) return;
    const { weight } = this;
    const quantized = quantize(weight, kind);
    for (const part of partsOf(quantized)) Scope.disown(part);
    this.replace('weight', parameter(weight.shape, weight.dtype, weight.device));
    this.#quantized = quantized;
  }

  protected override replace(field: string, tensor: Tensor): void {
    if (field === 'weight') this.#forget();
    super.replace(field, tensor);
  }

  #forget(): void {
    if (this.#quantized) for (const part of partsOf(this.#quantized)) part.dispose();
    this.#quantized = undefined;
  }

  /** Uniform within 1 / sqrt(in), as PyTorch's Linear. */
  protected override reset(seed: number): void {
    const { shape, dtype } = this.weight;
    const bound = 1 / Math.sqrt(shape[1] as number);
    this.replace('weight', randomUniform(shape, { seed, low: -bound, high: bound, dtype }));
    if (this.bias) this.replace('bias', randomUniform(this.bias.shape, { seed, offset: 2 ** 32, low: -bound, high: bound, dtype }));
  }
}

const partsOf = ({ values, scales, minimums }: QuantizedWeight): Tensor[] => [values, scales, ...(minimums ? [minimums] : [])];
