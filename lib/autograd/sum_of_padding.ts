import { tensor } from '../tensor/create';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';
import { Tensor } from '../tensor/tensor';
import { run } from './run';

/** The gradient of what fills up windows of a map: the sum of `[windows, window, window, dim]` over what lies beyond it, `[dim]`. */
export function sumOfPadding(windows: Tensor, height: number, width: number): Tensor {
  const [count, window, , dim] = windows.shape as [number, number, number, number];
  const [down, across] = [Math.ceil(height / window), Math.ceil(width / window)];
  const places: number[] = [];
  for (let i = 0; i < count * window * window; i++) {
    const [index, row, column] = [Math.floor(i / window / window), Math.floor(i / window) % window, i % window];
    const [y, x] = [(Math.floor(index / across) % down) * window + row, (index % across) * window + column];
    if (y >= height || x >= width) places.push(i);
  }
  return tidy(() => {
    const index = onDevice(windows.device, () => tensor(places, [places.length], 'i32'));
    const rows = run('gatherRows', { x: Tensor.alias(windows, [count * window * window, dim]), index }).y as Tensor;
    return run('sum', { x: rows, axes: [0] }).y as Tensor;
  });
}
