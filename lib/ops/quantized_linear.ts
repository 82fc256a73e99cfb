import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';
import type { QuantizedWeight } from './quantize';

/**
 * Dense layer with a weight of {@link quantize}: `x weight^T + bias`, sums in f32. Reads 8 or 4 bits a weight, so one row
 * takes half or a quarter of the time of bf16. From 5 rows on, products in bf16 and f16 round x to bytes, each group of 128 in steps
 * of its own, or the weight to bf16, as the processor has it: docs/numerics.md.
 * @param x - `[..., in]`, f32, bf16 or f16.
 * @param bias - `[out]`, dtype of `x`.
 * @returns `[..., out]`, dtype of `x`; differentiable in `x` and `bias`.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 */
export function quantizedLinear(x: Tensor, quantized: QuantizedWeight, bias?: Tensor): Tensor {
  const { values, scales, minimums, shape } = quantized ?? {};
  return call('quantizedLinear', { x, values, scales, minimums, bias, out: shape?.[0], in: shape?.[1] }).y as Tensor;
}
