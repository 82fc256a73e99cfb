import { run } from '../autograd/call';
import { ArgumentError } from '../errors';
import type { Tensor } from '../tensor/tensor';

/**
 * Overwrites the elements of `target`, which keeps its memory: what a {@link Program} reads, or a view is on.
 * @param x - any dtype.
 * @param target - shape and dtype of `x`; changed.
 * @throws ShapeError, DtypeError; ArgumentError for a target that requires a gradient.
 */
export function copyInto(x: Tensor, target: Tensor): void {
  if (target?.requiresGrad) throw new ArgumentError('copyInto: target requires a gradient, expected a tensor that requires none');
  run('copy', { x, y: target ?? null });
}
