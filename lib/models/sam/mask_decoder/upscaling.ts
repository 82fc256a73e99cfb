/**
 * The image, each token of it a block of 4 x 4 pixels: two transposed convolutions whose stride is their kernel. Such a one is
 * a linear layer at every pixel, so channels stay last, no map is transposed, and pixels keep the order of their tokens until
 * a mask, of one channel, is put together.
 */
import type { Dtype } from '../../../native';
import { ConvTranspose2d, LayerNorm, Module } from '../../../nn';
import { concat } from '../../../ops/concat';
import { gelu } from '../../../ops/gelu';
import { linear } from '../../../ops/linear';
import { permute } from '../../../ops/permute';
import { reshape } from '../../../ops/reshape';
import type { Tensor } from '../../../tensor/tensor';

const kScale = 2; // of one convolution

/** `[..., pixels, in]` to `[..., pixels * 4, out]`: the block of a pixel, row by row. */
function enlarge({ weight, bias }: ConvTranspose2d, x: Tensor): Tensor {
  const [inSize, outSize] = weight.shape as [number, number];
  const block = kScale * kScale;
  const y = linear(x, reshape(permute(weight, [2, 3, 1, 0]), [block * outSize, inSize]), concat(new Array<Tensor>(block).fill(bias), 0));
  return reshape(y, [...x.shape.slice(0, -2), (x.shape.at(-2) as number) * block, outSize]);
}

export class Upscaling extends Module {
  protected override readonly keys = { first: '0', norm: '1', second: '3' };
  readonly first: ConvTranspose2d;
  /** Over the channels of a pixel. */
  readonly norm: LayerNorm;
  readonly second: ConvTranspose2d;

  constructor(promptDim: number, dtype: Dtype) {
    super();
    this.first = new ConvTranspose2d(promptDim, promptDim / 4, kScale, { dtype });
    this.norm = new LayerNorm(promptDim / 4, { eps: 1e-6, dtype });
    this.second = new ConvTranspose2d(promptDim / 4, promptDim / 8, kScale, { dtype });
  }

  /** `[masks, grid^2, promptDim]` to `[masks, grid^2 * 16, promptDim / 8]`, the pixels of a token as {@link assemble} reads them. */
  forward(image: Tensor): Tensor {
    return gelu(enlarge(this.second, gelu(this.norm.forward(enlarge(this.first, image)))));
  }
}

/** Pixels token by token, `[masks, outputs, grid^2 * 16]`, as maps `[masks, outputs, 4 grid, 4 grid]`. */
export function assemble(pixels: Tensor, grid: number): Tensor {
  const [masks, outputs] = pixels.shape as [number, number];
  const blocks = reshape(pixels, [masks * outputs * grid, grid, kScale, kScale, kScale, kScale]);
  const side = grid * kScale * kScale;
  return reshape(permute(blocks, [0, 2, 4, 1, 3, 5]), [masks, outputs, side, side]);
}
