import type { Dtype } from '../native';
import { convTranspose2d } from '../ops/conv_transpose2d';
import { conv2d } from '../ops/conv2d';
import { randomUniform } from '../ops/random_uniform';
import type { Tensor } from '../tensor/tensor';
import { Module, parameter } from './module';

export interface Conv2dLayerOptions {
  stride?: number;
  padding?: number;
  /** Default true. */
  bias?: boolean;
  dtype?: Dtype;
}

/** Convolution of `[batch, in, height, width]` with a square kernel. */
export class Conv2d extends Module {
  /** `[out, in, kernel, kernel]`. */
  readonly weight: Tensor;
  /** `[out]`. */
  readonly bias?: Tensor;
  readonly #stride: number;
  readonly #padding: number;

  constructor(inSize: number, outSize: number, kernel: number, options: Conv2dLayerOptions = {}) {
    super();
    const { stride = 1, padding = 0, bias = true, dtype = 'f32' } = options;
    this.weight = parameter([outSize, inSize, kernel, kernel], dtype);
    if (bias) this.bias = parameter([outSize], dtype);
    this.#stride = stride;
    this.#padding = padding;
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, { bias: this.bias, stride: this.#stride, padding: this.#padding });
  }

  /** Uniform within 1 / sqrt(in kernel^2), as PyTorch's Conv2d. */
  protected override reset(seed: number): void {
    const { shape, dtype } = this.weight;
    const bound = Math.sqrt((shape[0] as number) / this.weight.count);
    this.replace('weight', randomUniform(shape, { seed, low: -bound, high: bound, dtype }));
    if (this.bias) this.replace('bias', randomUniform(this.bias.shape, { seed, offset: 2 ** 32, low: -bound, high: bound, dtype }));
  }
}

/** Transposed convolution whose stride is its kernel: enlarges `[batch, in, height, width]` by `kernel`. */
export class ConvTranspose2d extends Module {
  /** `[in, out, kernel, kernel]`. */
  readonly weight: Tensor;
  /** `[out]`. */
  readonly bias: Tensor;

  constructor(inSize: number, outSize: number, kernel: number, { dtype = 'f32' }: { dtype?: Dtype } = {}) {
    super();
    this.weight = parameter([inSize, outSize, kernel, kernel], dtype);
    this.bias = parameter([outSize], dtype);
  }

  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias);
  }

  /** Uniform within 1 / sqrt(out kernel^2), as PyTorch's ConvTranspose2d. */
  protected override reset(seed: number): void {
    const { shape, dtype } = this.weight;
    const bound = Math.sqrt((shape[0] as number) / this.weight.count);
    this.replace('weight', randomUniform(shape, { seed, low: -bound, high: bound, dtype }));
    this.replace('bias', randomUniform(this.bias.shape, { seed, offset: 2 ** 32, low: -bound, high: bound, dtype }));
  }
}
