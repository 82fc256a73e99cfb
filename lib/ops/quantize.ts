import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/** A weight in 8 or 4 bits; the tensors are in an order made for {@link quantizedLinear}. */
export interface QuantizedWeight {
  readonly kind: 'int8' | 'int4';
  /** `[out, in]` of the weight it was made from. */
  readonly shape: readonly [number, number];
  /** u8. */
  readonly values: Tensor;
  /** bf16, one for each output and group of 128 inputs. */
  readonly scales: Tensor;
  /** As `scales`; int4 only. */
  readonly minimums?: Tensor;
}

/**
 * A frozen weight in fewer bits, in groups of 128 inputs: int8 with a scale a group (8.1 bits a weight), int4 with a scale
 * and a minimum (4.25 bits). No weight is off by more than half a step of its group.
 * @param weight - `[out, in]`, f32, bf16 or f16, rows.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit; GradientError when `weight` requires a gradient.
 */
export function quantize(weight: Tensor, kind: 'int8' | 'int4'): QuantizedWeight {
  const { values, scales, minimums } = call('quantize', { weight, kind });
  const [out, inner] = weight.shape as [number, number];
  return { kind: minimums ? 'int4' : 'int8', shape: [out, inner], values: values as Tensor, scales: scales as Tensor, minimums };
}

/**
 * The weight that a quantized one stands for.
 * @returns `[out, in]`, f32, rows.
 */
export function dequantize(quantized: QuantizedWeight): Tensor {
  const { values, scales, minimums, shape } = quantized ?? {};
  return call('dequantize', { values, scales, minimums, out: shape?.[0], in: shape?.[1] }).weight as Tensor;
}
