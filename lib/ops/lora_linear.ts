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

/** Corrections of low rank of one layer, and which of them each row has. */
export interface LoraByRow {
  /** `[rank, in]` each, of any rank. */
  loraA: readonly Tensor[];
  /** `[out, rank]` each. */
  loraB: readonly Tensor[];
  /** What each is multiplied by: alpha / rank. */
  scalings: readonly number[];
  /** For each of the batch its place in these lists, or -1 for none. */
  adapters: readonly number[];
}

/**
 * What a layer gave for a batch, each row corrected by its own adapter: `layer + scaling (x loraA^T) loraB^T`, sums in f32. So the
 * rows of several adapters are one product to the layer itself. Meant for a step of generation; each row has the bits that
 * `loraLinear` gives to a few. No gradient.
 * @param layer - `[batch, ..., out]`, f32, bf16 or f16.
 * @param x - `[batch, ..., in]`, dtype of `layer`: what the layer was given.
 * @param loras - matrices of the dtype of `layer`.
 * @returns Shape and dtype of `layer`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit; GradientError when an argument requires a gradient.
 * @see Chen et al. 2023, https://arxiv.org/abs/2310.18547
 */
export function addLoraByRow(layer: Tensor, x: Tensor, loras: LoraByRow): Tensor {
  const { loraA, loraB, scalings, adapters } = loras ?? {};
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
