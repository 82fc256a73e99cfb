import { record, run } from '../autograd/call';
import { sumOfPadding } from '../autograd/sum_of_padding';
import type { Tensor } from '../tensor/tensor';

/**
 * Cuts a map into square windows, padded at the bottom and right to a multiple of `window`.
 * @param x - `[batch, height, width, dim]`, any dtype.
 * @param window - side of a window in tokens, at least 1.
 * @param padding - `[dim]`, dtype of `x`: the tokens beyond the map; default zeros.
 * @returns `[batch * ceil(height / window) * ceil(width / window), window, window, dim]`; differentiable in `x` and `padding`.
 * @throws ShapeError when `x` has not 4 axes, or `padding` does not fit, DtypeError, ArgumentError for a `window` below 1.
 * @see Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function windowPartition(x: Tensor, window: number, padding?: Tensor): Tensor {
  const y = run('windowPartition', { x, padding, window }).y as Tensor;
  const [, height, width] = x.shape as [number, number, number, number];
  const [isTrained, isPaddingTrained] = [x.requiresGrad, padding?.requiresGrad === true];
  return record('windowPartition', y, padding ? [x, padding] : [x], [], (dy) => [
    isTrained ? windowUnpartition(dy, height, width) : undefined,
    ...(padding ? [isPaddingTrained ? sumOfPadding(dy, height, width) : undefined] : []),
  ]);
}

/**
 * Puts windows back into a map and drops its padding: undoes {@link windowPartition}.
 * @param x - `[batch * windows, window, window, dim]`, any dtype.
 * @param height - of the map in tokens, at least 1.
 * @param width - as `height`.
 * @returns `[batch, height, width, dim]`; differentiable.
 * @throws ShapeError when windows are not square, ArgumentError when their number is none of whole maps.
 */
export function windowUnpartition(x: Tensor, height: number, width: number): Tensor {
  const y = run('windowUnpartition', { x, height, width }).y as Tensor;
  const [, window] = x.shape as [number, number, number, number];
  return record('windowUnpartition', y, [x], [], (dy) => [windowPartition(dy, window)]);
}
