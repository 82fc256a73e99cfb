import { run } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

/**
 * Scales all gradients in place by `min(1, maxNorm / (norm + eps))`. Waits for nothing: the norm is a tensor.
 * @param grads - any shapes, f32, bf16 or f16.
 * @param norm - f32 `[]`, of {@link gradNorm}. A NaN makes every gradient NaN, as PyTorch's `clip_grad_norm_` does.
 * @param options.maxNorm - default 1.
 * @param options.eps - default 1e-6.
 */
export function clipGradients(grads: readonly Tensor[], norm: Tensor, options?: { maxNorm?: number; eps?: number }): void {
  run('clipGradients', { ...options, grads, norm });
}
