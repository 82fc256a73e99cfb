import type { Tensor } from '../tensor/tensor';
import { Module } from './module';

/** What `Sequential` chains: a module, or a plain function such as `relu`. */
export type Layer = (Module & { forward(x: Tensor): Tensor }) | ((x: Tensor) => Tensor);

/** Layers one after another; the keys of the i-th are `i.NAME`, functions count but have none. */
export class Sequential extends Module {
  protected override readonly keys = { layers: '' };
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.layers = layers;
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer) => (typeof layer === 'function' ? layer(y) : layer.forward(y)), x);
  }
}
