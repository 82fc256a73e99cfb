import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * A weight in the order that products read fastest. Done once, after loading; the rows can be disposed of then. For frozen
 * weights: no gradient passes.
 * @param weight - `[out, in]`, f32, bf16 or f16, rows.
 * @returns Shape and dtype of `weight`, layout packed: for the `weight` of {@link linear} and {@link loraLinear}.
 * @throws ShapeError, DtypeError for what does not fit; GradientError when `weight` requires a gradient.
 */
export function pack(weight: Tensor): Tensor {
  return call('pack', { weight }).packed as Tensor;
}

/**
 * A packed weight in rows again, bit for bit.
 * @param packed - What {@link pack} made.
 * @returns `[out, in]`, dtype of `packed`, rows.
 */
export function unpack(packed: Tensor): Tensor {
  return call('unpack', { packed }).weight as Tensor;
}
