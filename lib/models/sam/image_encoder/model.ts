/**
 * SAM's image encoder: a ViT (Li et al. 2022, https://arxiv.org/abs/2203.16527) whose blocks attend over windows, four of
 * them over the whole map, and a neck of two convolutions. Tokens stay a map with channels last up to the neck.
 */
import type { Dtype } from '../../../native';
import { Conv2d, chain, LayerNorm2d, Module, parameter, Sequential } from '../../../nn';
import { add } from '../../../ops/add';
import { zeros } from '../../../ops/fill';
import { permute } from '../../../ops/permute';
import { tidy } from '../../../tensor/scope';
import type { Tensor } from '../../../tensor/tensor';
import { gridSize, type SamConfig } from '../config';
import { SamBlock } from './block';

/** Patches to tokens. */
class PatchEmbed extends Module {
  readonly proj: Conv2d;

  constructor({ dim, patchSize }: SamConfig, dtype: Dtype) {
    super();
    this.proj = new Conv2d(3, dim, patchSize, { stride: patchSize, dtype });
  }

  /** `[batch, 3, imageSize, imageSize]` to `[batch, grid, grid, dim]`. */
  forward(pixels: Tensor): Tensor {
    return permute(this.proj.forward(pixels), [0, 2, 3, 1]);
  }
}

export class ImageEncoder extends Module {
  readonly patchEmbed: PatchEmbed;
  /** `[1, grid, grid, dim]`. */
  readonly posEmbed: Tensor;
  readonly blocks: readonly SamBlock[];
  readonly neck: Sequential;

  constructor(config: SamConfig, dtype: Dtype) {
    super();
    const { dim, depth, promptDim } = config;
    this.patchEmbed = new PatchEmbed(config, dtype);
    this.posEmbed = parameter([1, gridSize(config), gridSize(config), dim], dtype);
    this.blocks = Array.from({ length: depth }, (_, index) => new SamBlock(config, index, dtype));
    this.neck = new Sequential(
      new Conv2d(dim, promptDim, 1, { bias: false, dtype }),
      new LayerNorm2d(promptDim, { dtype }),
      new Conv2d(promptDim, promptDim, 3, { padding: 1, bias: false, dtype }),
      new LayerNorm2d(promptDim, { dtype }),
    );
  }

  /** What the first block reads: `[batch, 3, imageSize, imageSize]` to `[batch, grid, grid, dim]`. */
  embed(pixels: Tensor): Tensor {
    return tidy(() => add(this.patchEmbed.forward(pixels), this.posEmbed));
  }

  /**
   * `[batch, 3, imageSize, imageSize]` to `[batch, promptDim, grid, grid]`.
   * @param options.recompute - run each block again for its gradient instead of keeping what it made; default false.
   */
  forward(pixels: Tensor, { recompute = false }: { recompute?: boolean } = {}): Tensor {
    return tidy(() => this.project(chain(this.blocks, this.embed(pixels), recompute)));
  }

  /** What the last block gives, `[batch, grid, grid, dim]`, to `[batch, promptDim, grid, grid]`. */
  project(map: Tensor): Tensor {
    return tidy(() => this.neck.forward(permute(map, [0, 3, 1, 2])));
  }

  protected override reset(): void {
    this.replace('posEmbed', zeros(this.posEmbed.shape, this.posEmbed.dtype));
  }
}
