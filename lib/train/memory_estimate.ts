/** What a run will hold in memory, from sizes alone: before a weight is read. */
import { imageTokens } from '../models/mglmm/config';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { gridSize } from '../models/sam/config';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';

export interface MemoryEstimate {
  /** Numbers of all parameters, and of those that are trained. */
  readonly parameters: number;
  readonly trained: number;
  /** In bytes, as all that follow. */
  readonly weights: number;
  readonly gradients: number;
  /** Two moments of each trained parameter, and the f32 originals of those that are not f32. */
  readonly optimizer: number;
  /** Kept between forward and backward of the largest batch there can be, and what one layer works with. */
  readonly activations: number;
  readonly cache: number;
  readonly total: number;
}

export interface EstimateOptions {
  readonly batchSize: number;
  /** Tokens of a sample at most, the image's among them. */
  readonly maxLength: number;
  readonly recompute: boolean;
  readonly cacheBytes: number;
  /** Masks of a sample; default 3, as published. */
  readonly masks?: number;
  /** Pixels of a picture; default 640 x 480. */
  readonly pixels?: number;
}

const itemBytes: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 };
export const bytesOf = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { count, dtype }) => sum + count * itemBytes[dtype], 0);
const countOf = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { count }) => sum + count, 0);

/** Vectors as wide as the model, and as wide as its MLP, that a layer keeps of a token: what its ops' gradients read. */
const keptOfDim = 10;
const keptOfMlp = 3;
/** Of an image encoder's layer, whose MLP is four times as wide: as above, in widths of the model. */
const keptOfEncoder = 22;
/** Logits are made in pieces of this. */
const headBytes = 64 * 2 ** 20;

/** @param model - with LoRA, and the parameters that will be trained marked; without values. */
export function estimateMemory(model: MglmmForCausalLM, options: EstimateOptions): MemoryEstimate {
  const { batchSize, maxLength, recompute, cacheBytes, masks = 3, pixels = 640 * 480 } = options;
  const all = model.parameters();
  const trained = all.filter(({ requiresGrad }) => requiresGrad);
  const { llama, clip, sam } = model.config;
  const item = itemBytes[model.model.dtype];
  const tokens = batchSize * Math.min(maxLength, llama.context);
  const isTrained = (part: string) => [...model.namedParameters()].some(([key, { requiresGrad }]) => requiresGrad && key.includes(part));
  const layer = tokens * (keptOfDim * llama.dim + keptOfMlp * llama.mlpDim) * item;
  const decoder = recompute ? llama.depth * tokens * llama.dim * item + 1.2 * layer : (llama.depth + 1) * layer;
  const head = tokens * llama.dim * 2 * item + Math.min(headBytes, tokens * llama.vocabSize * 4);
  const encoder = (side: number, dim: number, depth: number, of: string) => {
    const one = batchSize * side * keptOfEncoder * dim * item;
    if (!isTrained(of)) return one / batchSize;
    return recompute ? one + depth * batchSize * side * dim * item : depth * one;
  };
  const clipBytes = encoder(imageTokens(model.config), clip.dim, clip.depth, '.vision_tower.');
  const grid = sam ? gridSize(sam) ** 2 : 0;
  const samBytes = sam ? encoder(grid, sam.dim, sam.depth, '.image_encoder.') : 0;
  // Of each mask: what the decoder upscales, its logits and their gradient, and the truth, twice while masks are joined.
  const maskBytes = sam ? batchSize * masks * (pixels * 2 + grid * 16 * (sam.promptDim + 2) * item) : 0;
  const activations = decoder + head + clipBytes + samBytes + maskBytes;
  const [weights, gradients] = [bytesOf(all), bytesOf(trained)];
  const originals = trained.filter(({ dtype }) => dtype !== 'f32');
  const optimizer = 8 * countOf(trained) + 4 * countOf(originals);
  return {
    parameters: countOf(all),
    trained: countOf(trained),
    weights,
    gradients,
    optimizer,
    activations: Math.round(activations),
    cache: cacheBytes,
    total: Math.round(weights + gradients + optimizer + activations + cacheBytes),
  };
}
