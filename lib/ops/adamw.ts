import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface AdamwOptions {
  /** Changed in place: f32, bf16 or f16. */
  params: readonly Tensor[];
  /** Shapes of `params`; f32, bf16 or f16. */
  grads: readonly Tensor[];
  /** First moments, changed in place: shapes of `params`, f32. */
  expAvg: readonly Tensor[];
  /** Second moments, changed in place: shapes of `params`, f32. */
  expAvgSq: readonly Tensor[];
  /** f32 originals of all `params`, changed in place and rounded into them; without them small updates of bf16 are lost. */
  masters?: readonly Tensor[];
  /** Norm of all gradients, f32 `[]`, of `gradNorm`: when it is not finite nothing changes. */
  norm?: Tensor;
  lr: number;
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Default 1e-8. */
  eps?: number;
  /** Default 0. */
  weightDecay?: number;
  /** Number of this step, from 1. */
  step: number;
}

/**
 * One step of AdamW on all tensors at once, in f32:
 * `p -= lr * weightDecay * p; m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2;
 * p -= lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)`.
 * @throws ArgumentError when the lists differ in length or a number is out of range, ShapeError, DtypeError.
 * @see Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101
 */
export function adamw(options: AdamwOptions): void {
  run('adamw', { ...options, masters: options?.masters ?? [] });
}
