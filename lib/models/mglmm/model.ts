/**
 * MGLMM: an image and a text in, text and masks out. CLIP's features stand in the text as tokens, LLaMA answers, and the state
 * that predicts a `[SEG]` prompts Segment Anything. Zhou et al. 2025, AAAI. The keys are those of the official checkpoint.
 */
import { ArgumentError } from '../../errors';
import { Module, type Sequential } from '../../nn';
import { concat } from '../../ops/concat';
import { reshape } from '../../ops/reshape';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';
import { Clip } from '../clip/model';
import { LlamaForCausalLM, LlamaModel, type ModelOptions } from '../llama/model';
import type { SamMasks } from '../sam/mask_decoder/model';
import { Sam } from '../sam/model';
import type { MglmmConfig } from './config';
import { makeProjector, type Projector } from './projector';
import { makeSegPrompt } from './seg_prompt';
import { embedWithImages } from './splice';

/** LLaVA's wrapper around CLIP, which its keys show. */
class VisionTower extends Module {
  constructor(readonly visionTower: Clip) {
    super();
  }
}

export class MglmmModel extends LlamaModel {
  readonly mmProjector: Projector;
  readonly visionTower: VisionTower;
  /** One of them; absent, as `segmentEncoder` is, in LLaVA. */
  readonly textHiddenFcs?: readonly Sequential[];
  readonly segmentEncoder?: Sam;

  constructor(config: MglmmConfig, options: ModelOptions = {}) {
    super(config.llama, options);
    const { dtype = 'f32' } = options;
    this.mmProjector = makeProjector(config, dtype);
    this.visionTower = new VisionTower(new Clip(config.clip, { dtype }));
    if (config.sam) {
      this.textHiddenFcs = [makeSegPrompt(config.llama.dim, config.sam.promptDim, dtype)];
      this.segmentEncoder = new Sam(config.sam, { dtype });
    }
  }
}

export class MglmmForCausalLM extends LlamaForCausalLM<MglmmModel> {
  readonly config: MglmmConfig;

  constructor(config: MglmmConfig, options?: ModelOptions) {
    super(config.llama, new MglmmModel(config, options));
    this.config = config;
  }

  /** The vision tower. */
  get clip(): Clip {
    return this.model.visionTower.visionTower;
  }

  /** @throws ArgumentError in a model that makes no masks. */
  get sam(): Sam {
    const { segmentEncoder } = this.model;
    if (segmentEncoder) return segmentEncoder;
    throw new ArgumentError('mglmm: this checkpoint has no Segment Anything, expected one of a model that makes masks');
  }

  /**
   * Images as LLaMA reads them.
   * @param pixels - `[batch, 3, imageSize, imageSize]`, of `clipInput`.
   * @param options.recompute - run each layer of CLIP again for its gradient instead of keeping what it made; default false.
   * @returns `[batch, imageTokens, dim]`; differentiable.
   */
  encodeImage(pixels: Tensor, options: { recompute?: boolean } = {}): Tensor {
    return tidy(() => this.model.mmProjector.forward(this.clip.forward(pixels, options)));
  }

  /**
   * Texts as LLaMA reads them, each with its image in the place of its image token: see {@link embedWithImages}.
   * @param images - of {@link encodeImage}.
   */
  embed(ids: readonly (readonly number[])[], images?: Tensor): Tensor {
    return embedWithImages(this.model.embedTokens, ids, images);
  }

  /**
   * States that predict a `[SEG]` as prompts of the mask decoder.
   * @param states - `[masks, dim]`, normed.
   * @returns `[masks, 1, promptDim]`; differentiable.
   * @throws ArgumentError in a model that makes no masks.
   */
  segPrompts(states: Tensor): Tensor {
    const [layers] = this.model.textHiddenFcs ?? [];
    if (!layers) throw new ArgumentError('mglmm: this checkpoint has no text_hidden_fcs, expected one of a model that makes masks');
    return tidy(() => {
      const prompts = layers.forward(states);
      return reshape(prompts, [prompts.shape[0] as number, 1, prompts.shape[1] as number]);
    });
  }

  /**
   * The masks of `[SEG]`s.
   * @param embedding - `[1, promptDim, grid, grid]`, of `sam.encodeImage`.
   * @param states - `[1, dim]` or more rows each, normed, of the states that predict them; at least one.
   * @returns differentiable.
   */
  decodeMasks(embedding: Tensor, ...states: readonly [Tensor, ...Tensor[]]): SamMasks {
    return tidy(() => this.sam.decode(embedding, { text: this.segPrompts(states.length === 1 ? states[0] : concat(states, 0)) }));
  }
}
