import type { Dtype } from '../../../native';
import { ConvTranspose2d, LayerNorm2d, Module } from '../../../nn';
import { upscaleMasks } from '../../../ops/upscale_masks';
import type { Tensor } from '../../../tensor/tensor';

const kEps = 1e-6;

/** The image enlarged fourfold, and masks out of it: its keys are those of a sequence with two GELUs, which have none. */
export class Upscaling extends Module {
  protected override readonly keys = { first: '0', norm: '1', second: '3' };
  readonly first: ConvTranspose2d;
  readonly norm: LayerNorm2d;
  readonly second: ConvTranspose2d;

  constructor(promptDim: number, dtype: Dtype) {
    super();
    this.first = new ConvTranspose2d(promptDim, promptDim / 4, 2, { dtype });
    this.norm = new LayerNorm2d(promptDim / 4, { eps: kEps, dtype });
    this.second = new ConvTranspose2d(promptDim / 4, promptDim / 8, 2, { dtype });
  }

  /**
   * @param image - `[masks, grid^2, promptDim]`.
   * @param hyper - `[masks, outputs, promptDim / 8]`, what each output weighs a pixel's channels with.
   * @param width - of the grid.
   * @returns `[masks, outputs, 4 grid, 4 grid]`.
   */
  forward(image: Tensor, hyper: Tensor, width: number): Tensor {
    const { first, norm, second } = this;
    const weights = { weight1: first.weight, bias1: first.bias, weight2: second.weight, bias2: second.bias };
    return upscaleMasks(image, { ...weights, normWeight: norm.weight, normBias: norm.bias }, hyper, { width, eps: kEps });
  }
}
