import { record, run } from '../autograd/call';
import { records } from '../autograd/graph';
import { Tensor } from '../tensor/tensor';
import type { CrossEntropyOptions } from './cross_entropy';

/**
 * The head of a language model and its loss as one: `crossEntropy(linear(hidden, weight), labels, options)` without ever
 * holding all the logits (at most 64 MiB of them), and without the work of rows that have no label. The gradients are made
 * with the loss, so they hold memory from the forward on.
 * @param hidden - `[..., dim]`, f32, bf16 or f16.
 * @param weight - `[vocab, dim]`, dtype of `hidden`; may be packed, when it requires no gradient.
 * @param labels - `[...]`, i32, each below vocab or `ignoreIndex`; one that is neither rejects the next read.
 * @returns `loss`, f32 `[]`, differentiable in `hidden` and `weight`; `count`, i32 `[]`, the rows with a label. With none
 *   the mean is NaN, its gradient 0.
 * @throws ShapeError, DtypeError; ArgumentError when a packed weight requires a gradient.
 */
export function linearCrossEntropy(
  hidden: Tensor,
  weight: Tensor,
  labels: Tensor,
  options?: CrossEntropyOptions,
): { loss: Tensor; count: Tensor } {
  const gradients = records([hidden, weight])
    ? [hidden?.requiresGrad ? 'dhidden' : undefined, weight?.requiresGrad ? 'dweight' : undefined]
    : [];
  const wanted = ['loss', 'count', ...gradients.filter((name) => name !== undefined)];
  const outputs = run('linearCrossEntropy', { ...options, hidden, weight, labels }, wanted);
  const { loss, count } = outputs as { loss: Tensor; count: Tensor };
  const made = gradients.flatMap((name) => (name ? [outputs[name] as Tensor] : []));
  const scaled = (dloss: Tensor, ...held: Tensor[]) => {
    run('linearCrossEntropyBackward', { dloss, gradients: held });
    // The graph frees what it held; who gets a gradient needs a handle of its own.
    const handles = held.map((gradient) => Tensor.alias(gradient));
    return gradients.map((name) => (name ? handles.shift() : undefined));
  };
  record('linearCrossEntropy', loss, [hidden, weight], made, scaled, false);
  for (const gradient of made) gradient.dispose();
  return { loss, count };
}
