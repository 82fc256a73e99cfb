import type { Dtype } from '../../native';
import { Conv2d, Embedding, Module, parameter } from '../../nn';
import { add } from '../../ops/add';
import { concat } from '../../ops/concat';
import { permute } from '../../ops/permute';
import { randomNormal } from '../../ops/random_normal';
import { reshape } from '../../ops/reshape';
import type { Tensor } from '../../tensor/tensor';
import type { ClipConfig } from './config';

/** Patches as tokens behind a class token, each with its learned position. */
export class ClipEmbeddings extends Module {
  /** `[dim]`. */
  readonly classEmbedding: Tensor;
  readonly patchEmbedding: Conv2d;
  readonly positionEmbedding: Embedding;

  constructor({ dim, imageSize, patchSize }: ClipConfig, dtype: Dtype) {
    super();
    this.classEmbedding = parameter([dim], dtype);
    this.patchEmbedding = new Conv2d(3, dim, patchSize, { stride: patchSize, bias: false, dtype });
    this.positionEmbedding = new Embedding((imageSize / patchSize) ** 2 + 1, dim, { dtype });
  }

  /** `[batch, 3, imageSize, imageSize]` to `[batch, 1 + patches, dim]`. */
  forward(pixels: Tensor): Tensor {
    const grid = this.patchEmbedding.forward(pixels);
    const [batch, dim, height, width] = grid.shape as [number, number, number, number];
    const patches = permute(reshape(grid, [batch, dim, height * width]), [0, 2, 1]);
    const classToken = reshape(this.classEmbedding, [1, 1, dim]);
    const classTokens = concat(new Array<Tensor>(batch).fill(classToken), 0);
    return add(concat([classTokens, patches], 1), this.positionEmbedding.weight);
  }

  protected override reset(seed: number): void {
    this.replace('classEmbedding', randomNormal(this.classEmbedding.shape, { seed, dtype: this.classEmbedding.dtype }));
  }
}
