import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';

export interface CrossEntropyOptions {
  /** Label of the rows that do not count; default -100. */
  ignoreIndex?: number;
  /** Compares position s with the label of s + 1, as a causal language model does; `logits` is `[..., seq, vocab]` then. */
  shift?: boolean;
  /** `mean` over the rows with a label (default), or their `sum`. */
  reduction?: 'mean' | 'sum';
}

/**
 * Cross entropy of class ids, in nats: `log sum exp(logits) - logits[label]`, over all rows that have a label.
 * @param logits - `[..., vocab]`, f32, bf16 or f16.
 * @param labels - `[...]`, i32, each below vocab or `ignoreIndex`; one that is neither rejects the next read.
 * @returns `loss`, f32 `[]`, differentiable in `logits`; `count`, i32 `[]`, the rows with a label. With none the mean is
 *   NaN, 0 / 0, as PyTorch's; its gradient is 0.
 * @throws ShapeError, DtypeError when labels do not fit logits.
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options?: CrossEntropyOptions): { loss: Tensor; count: Tensor } {
  return call('crossEntropy', { ...options, logits, labels }) as { loss: Tensor; count: Tensor };
}
