import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Rows of a table by id: `weight[ids[i]]`.
 * @param weight - `[vocab, dim]`, f32, bf16 or f16; other dtypes have no gradient.
 * @param ids - `[...]`, i32, 0 to vocab - 1. An id out of range makes the next await on the result an ArgumentError that
 *   names its position and value.
 * @returns `[..., dim]`, dtype of `weight`; differentiable in `weight`: gradients of an id's places are added up in order.
 * @throws ShapeError, DtypeError.
 */
export function embedding(weight: Tensor, ids: Tensor): Tensor {
  return call('embedding', { weight, ids }).y as Tensor;
}
