/**
 * The vision tower of CLIP as LLaVA uses it: the hidden state of a late layer, a vector a patch, without the tower's last
 * norm. Radford et al. 2021, https://arxiv.org/abs/2103.00020; Liu et al. 2023, https://arxiv.org/abs/2304.08485.
 */
import type { Dtype } from '../../native';
import { chain, LayerNorm, Module } from '../../nn';
import { slice } from '../../ops/slice';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { type ClipConfig, usedLayers } from './config';
import { ClipEmbeddings } from './embeddings';
import { ClipLayer } from './layer';

/** Holds the layers that the feature needs and no others; `isUnusedClipKey` knows the keys of the rest. */
export class Clip extends Module {
  protected override readonly keys = {
    embeddings: 'vision_model.embeddings',
    preLayrnorm: 'vision_model.pre_layrnorm', // the checkpoint's spelling
    layers: 'vision_model.encoder.layers',
  };
  readonly embeddings: ClipEmbeddings;
  readonly preLayrnorm: LayerNorm;
  readonly layers: readonly ClipLayer[];
  readonly #selectFeature: ClipConfig['selectFeature'];

  constructor(config: ClipConfig, { dtype = 'f32' }: { dtype?: Dtype } = {}) {
    super();
    this.embeddings = new ClipEmbeddings(config, dtype);
    this.preLayrnorm = new LayerNorm(config.dim, { eps: config.eps, dtype });
    this.layers = Array.from({ length: usedLayers(config) }, () => new ClipLayer(config, dtype));
    this.#selectFeature = config.selectFeature;
  }

  /** What the first layer reads: `[batch, 3, imageSize, imageSize]` to `[batch, 1 + patches, dim]`. */
  embed(pixels: Tensor): Tensor {
    return tidy(() => this.preLayrnorm.forward(this.embeddings.forward(pixels)));
  }

  /**
   * The features of images.
   * @param pixels - `[batch, 3, imageSize, imageSize]`, normalised, dtype of the weights.
   * @param options.recompute - run each layer again for its gradient instead of keeping what it made; default false.
   * @returns `[batch, patches, dim]`, one more in front with `selectFeature` `cls_patch`; differentiable.
   * @throws ShapeError or DtypeError for pixels that do not fit.
   */
  forward(pixels: Tensor, { recompute = false }: { recompute?: boolean } = {}): Tensor {
    return tidy(() => this.select(chain(this.layers, this.embed(pixels), recompute)));
  }

  /** What the last layer gives, `[batch, 1 + patches, dim]`, without the class token unless it is wanted. */
  select(hidden: Tensor): Tensor {
    return this.#selectFeature === 'patch' ? slice(hidden, 1, 1, hidden.shape[1] as number) : hidden;
  }
}
