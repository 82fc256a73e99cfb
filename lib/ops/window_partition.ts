import { record, run } from '../autograd/call';
import { tensor } from '../tensor/create';
import { onDevice } from '../tensor/device';
import type { Tensor } from '../tensor/tensor';
import { gatherRows } from './gather_rows';
import { reshape } from './reshape';
import { sum } from './sum';

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

/** Of what lies beyond the map: `[windows, window, window, dim]` to `[dim]`. */
export function sumOfPadding(windows: Tensor, height: number, width: number): Tensor {
  const [count, window, , dim] = windows.shape as [number, number, number, number];
  const [down, across] = [Math.ceil(height / window), Math.ceil(width / window)];
  const places: number[] = [];
  for (let i = 0; i < count * window * window; i++) {
    const [index, row, column] = [Math.floor(i / window / window), Math.floor(i / window) % window, i % window];
    const [y, x] = [(Math.floor(index / across) % down) * window + row, (index % across) * window + column];
    if (y >= height || x >= width) places.push(i);
  }
  const index = onDevice(windows.device, () => tensor(places, [places.length], 'i32'));
  return sum(gatherRows(reshape(windows, [count * window * window, dim]), index), [0]);
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
