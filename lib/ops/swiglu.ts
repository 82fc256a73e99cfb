import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Gated activation of the LLaMA MLP, elementwise: `silu(gate) * up`, `silu(v) = v / (1 + exp(-v))`.
 * @param gate - `[..., hidden]`, f32, bf16 or f16.
 * @param up - Shape and dtype of `gate`.
 * @returns Shape and dtype of `gate`; differentiable in both.
 * @throws ShapeError when the shapes differ, DtypeError when the dtypes do.
 * @see Shazeer 2020, https://arxiv.org/abs/2002.05202
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  return call('swiglu', { gate, up }).y as Tensor;
}
