import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface LoraLinearOptions {
  /** What the correction is multiplied by: alpha / rank. Default 1. */
  scaling?: number;
  /** `[out]`, dtype of `x`. */
  bias?: Tensor;
  /** `x` after dropout, which the correction reads instead of `x`. */
  xDropped?: Tensor;
}

/**
 * Dense layer with a trained correction of low rank: `x weight^T + bias + scaling (x loraA^T) loraB^T`, sums in f32.
 * @param x - `[..., in]`, f32, bf16 or f16.
 * @param weight - `[out, in]`, dtype of `x`; rows or packed.
 * @param loraA - `[rank, in]`, dtype of `x`.
 * @param loraB - `[out, rank]`, dtype of `x`.
 * @returns `[..., out]`, dtype of `x`; differentiable in all tensors, in `weight` only while it is in rows.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 * @see Hu et al. 2021, https://arxiv.org/abs/2106.09685
 */
export function loraLinear(x: Tensor, weight: Tensor, loraA: Tensor, loraB: Tensor, options?: LoraLinearOptions): Tensor {
  const { scaling, bias, xDropped } = options ?? {};
  return call('loraLinear', { x, weight, loraA, loraB, scaling, bias, xDropped }).y as Tensor;
}

/** A correction of low rank of one layer. */
export interface LoraMatrices {
  /** `[rank, in]`. */
  readonly loraA: Tensor;
  /** `[out, rank]`. */
  readonly loraB: Tensor;
  /** What the correction is multiplied by: alpha / rank. */
  readonly scaling: number;
}

/**
 * What a layer that several adapters share gave for a batch, each row corrected by its own adapter:
 * `layer + scaling (x loraA^T) loraB^T`, sums in f32. To the layer itself all rows are one product. For few rows, those of a step
 * of generation; each is what `loraLinear` gives of it, to the bit where that is given as few. No gradient.
 * @param layer - `[batch, ..., out]`, f32, bf16 or f16.
 * @param x - `[batch, ..., in]`, dtype of `layer`: what the layer was given.
 * @param loras - of any ranks, dtype of `layer`.
 * @param adapters - for each of the batch its place in `loras`, or -1 for none.
 * @returns Shape and dtype of `layer`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit; GradientError when an argument requires a gradient.
 * @see Chen et al. 2023, https://arxiv.org/abs/2310.18547
 */
export function addLoraByRow(layer: Tensor, x: Tensor, loras: readonly LoraMatrices[], adapters: readonly number[]): Tensor {
  const [loraA, loraB] = [loras.map((one) => one.loraA), loras.map((one) => one.loraB)];
  const scalings = loras.map(({ scaling }) => scaling);
  return call('addLoraByRow', { layer, x, loraA, loraB, scalings, adapters }).y as Tensor;
}

/**
 * The weight with its correction taken up: `weight + scaling loraB loraA`. No gradient.
 * @param weight - `[out, in]`, f32, bf16 or f16, rows.
 * @param loraA - `[rank, in]`, dtype of `weight`.
 * @param loraB - `[out, rank]`, dtype of `weight`.
 * @returns Shape and dtype of `weight`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit; GradientError when an argument requires a gradient.
 */
export function mergeLora(weight: Tensor, loraA: Tensor, loraB: Tensor, scaling?: number): Tensor {
  return call('mergeLora', { weight, loraA, loraB, scaling }).merged as Tensor;
}
