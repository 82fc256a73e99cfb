import { run } from '../autograd/call';
import { records } from '../autograd/graph';
import { Tensor } from '../tensor/tensor';
import { concat } from './concat';
import { gelu } from './gelu';
import { layerNorm } from './layer_norm';
import { linear } from './linear';
import { matmul } from './matmul';
import { permute } from './permute';
import { reshape } from './reshape';

/** Weights of two transposed convolutions of kernel and stride 2, and of the layer norm over channels behind the first. */
export interface UpscaleWeights {
  /** `[dim, mid, 2, 2]` */
  weight1: Tensor;
  /** `[mid]` */
  bias1: Tensor;
  /** `[mid]` */
  normWeight: Tensor;
  /** `[mid]` */
  normBias: Tensor;
  /** `[mid, channels, 2, 2]` */
  weight2: Tensor;
  /** `[channels]` */
  bias2: Tensor;
}

/**
 * Masks out of the tokens of an image: each token becomes a block of 4 x 4 pixels by a transposed convolution, layer norm,
 * GELU, another one and GELU; a mask is the product of an output's channels with those of every pixel. Where a gradient is
 * recorded it is made of other ops, whose results between are held.
 * @param x - `[masks, tokens, dim]`, row by row, f32, bf16 or f16.
 * @param weights - dtype of `x`.
 * @param hyper - `[masks, outputs, channels]`, dtype of `x`.
 * @param options.width - tokens in a row, a divisor of `tokens`.
 * @param options.eps - of the norm, above 0, default 1e-6.
 * @returns `[masks, outputs, 4 tokens / width, 4 width]`, dtype of `x`; differentiable in all tensors.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 * @see Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function upscaleMasks(x: Tensor, weights: UpscaleWeights, hyper: Tensor, options: { width: number; eps?: number }): Tensor {
  const { weight1, bias1, normWeight, normBias, weight2, bias2 } = weights ?? {};
  const { width, eps } = options ?? {};
  const tensors = { x, weight1, bias1, normWeight, normBias, weight2, bias2, hyper };
  // What is no tensor goes to the op, which refuses it.
  const composed = records(Object.values(tensors)) && Object.values(tensors).every((value) => value instanceof Tensor);
  if (!composed) return run('upscaleMasks', { ...tensors, width, eps }).y as Tensor;
  const first = layerNorm(enlarge(x, weight1, bias1), normWeight, normBias, eps ?? kEps);
  const pixels = gelu(enlarge(gelu(first), weight2, bias2));
  return assemble(matmul(hyper, pixels, { transposeB: true }), width);
}

const kEps = 1e-6;
const kScale = 2; // of one convolution

/** `[masks, pixels, in]` to `[masks, pixels * 4, out]`, a pixel's block row by row: a linear layer at every pixel. */
function enlarge(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [inSize, outSize] = weight.shape as [number, number];
  const [masks, pixels] = x.shape as [number, number];
  const places = kScale * kScale;
  const rows = reshape(permute(weight, [2, 3, 1, 0]), [places * outSize, inSize]);
  return reshape(linear(x, rows, concat(new Array<Tensor>(places).fill(bias), 0)), [masks, pixels * places, outSize]);
}

/** Pixels token by token, `[masks, outputs, tokens * 16]`, as maps. */
function assemble(pixels: Tensor, width: number): Tensor {
  const [masks, outputs, count] = pixels.shape as [number, number, number];
  const height = count / width / kScale ** 4;
  const blocks = reshape(pixels, [masks * outputs * height, width, kScale, kScale, kScale, kScale]);
  return reshape(permute(blocks, [0, 2, 4, 1, 3, 5]), [masks, outputs, height * kScale ** 2, width * kScale ** 2]);
}
