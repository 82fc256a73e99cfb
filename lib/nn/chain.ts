import { recompute } from '../autograd/recompute';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

/**
 * `x` through `layers` one after another. What a layer makes on its way is freed when it is done, and so is its input, but for
 * `x` itself: a deep model needs the memory of one layer. (What a gradient needs is kept by its graph.)
 * @param isRecomputed - keep of each layer its input alone for a gradient, and run the layer again there; default false.
 */
export function chain(layers: Iterable<{ forward(x: Tensor): Tensor }>, x: Tensor, isRecomputed = false): Tensor {
  let y = x;
  for (const layer of layers) {
    const input = y;
    y = isRecomputed ? recompute((again) => layer.forward(again), input) : tidy(() => layer.forward(input));
    if (input !== x && input !== y) input.dispose();
  }
  return y;
}
