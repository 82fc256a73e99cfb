/**
 * Steps of training: micro-batches of any mixture of captions and segmentations, their gradients added up, clipped, and one
 * update. What it does depends on its options, its parameters, its state and the samples alone, to the bit.
 */
import { backward } from '../autograd/graph';
import type { Batch } from '../data/loader';
import { ArgumentError, TrainingSampleError } from '../errors';
import { imageTokens } from '../models/mglmm/config';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { loraLayers } from '../nn/lora_layers';
import type { Module } from '../nn/module';
import { scale } from '../ops/scale';
import { noGradients } from '../tensor/ambient';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { mixed } from './chance';
import { exampleOf, type Speech } from './example';
import { FeatureCache } from './feature_cache';
import { type Item, lossesOf, type TrainedEncoders } from './micro_batch';
import type { Objective, ObjectiveWeights } from './objective';
import { AdamW, type AdamWOptions } from './optimizer';
import { SceneHeads } from './scene_loss';
import type { Schedule } from './schedule';

export interface TrainerOptions {
  /** Rate of step n, from 0. */
  readonly schedule: Schedule;
  readonly optimizer?: AdamWOptions;
  readonly weights?: ObjectiveWeights;
  /** Longest row of tokens, the image's included; what is longer is cut. Default 1536. */
  readonly maxLength?: number;
  /** Keep only what goes into a layer, of the language model and of encoders that are trained, and run it again for its gradient. */
  readonly recompute?: boolean;
  /** What to do with a sample that cannot be trained on: count it, or throw a TrainingSampleError. Default fail. */
  readonly onBadSample?: 'skip' | 'fail';
  /** Bytes of features of images that are kept, of encoders that are not trained. Default 1 GiB. */
  readonly cacheBytes?: number;
  /** Of LoRA's dropout. Default 42. */
  readonly seed?: number;
  /** Instead of the losses of answers and their masks; `seed` is another number for each micro-batch. */
  readonly losses?: (items: readonly Item[], seed: number) => Objective;
  /** Which samples are trained on; others are passed over. Default all. */
  readonly takes?: (item: Item) => boolean;
  /** Parameters beside the model's that are trained with it. */
  readonly heads?: Module;
}

/** What has been counted since step 0. */
export interface TrainingCounts {
  /** Samples that gave a gradient. */
  samples: number;
  /** Tokens of answers in them, and masks. */
  tokens: number;
  masks: number;
  /** Samples that could not be trained on. */
  badSamples: number;
  /** Masks that a sample had beyond its `[SEG]`s: of answers that were cut, as a rule. */
  surplusTargets: number;
  truncated: number;
  /** Steps that changed nothing because their gradient was not finite, or because they had none: no sample, or nothing that is trained. */
  skippedSteps: number;
}

export interface StepReport {
  /** From 0. */
  readonly step: number;
  /** Means over the micro-batches, weighted as in the sum; those of masks over the micro-batches that had any. */
  readonly loss: number;
  readonly ceLoss: number;
  readonly maskBceLoss: number;
  readonly maskDiceLoss: number;
  readonly maskLoss: number;
  /** Whether there were any masks. */
  readonly hasMasks: boolean;
  /** Global norm of the gradients before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  /** Whether the parameters were changed. */
  readonly isApplied: boolean;
  /** Of this step. */
  readonly samples: number;
  /** As in {@link TrainingCounts}, of this step. */
  readonly surplusTargets: number;
  readonly truncated: number;
  readonly badSamples: readonly TrainingSampleError[];
  /** Bad samples that were left out before, where batches are made. */
  readonly skipped: number;
}

export interface TrainerState {
  /** Steps done. */
  step: number;
  readonly counts: TrainingCounts;
}

export class Trainer implements Disposable {
  readonly model: MglmmForCausalLM;
  readonly speech: Speech;
  readonly optimizer: AdamW;
  readonly cache: FeatureCache;
  readonly state: TrainerState = {
    step: 0,
    counts: { samples: 0, tokens: 0, masks: 0, badSamples: 0, surplusTargets: 0, truncated: 0, skippedSteps: 0 },
  };
  /** False while parameters are changed, and for good when that fails: they are of no step then. */
  isWhole = true;
  readonly #options: Required<Omit<TrainerOptions, 'losses' | 'heads'>> & Pick<TrainerOptions, 'losses'>;
  readonly #trained: TrainedEncoders;
  readonly #sceneHeads?: SceneHeads;
  readonly #lora: ReturnType<typeof loraLayers>;

  /**
   * @param model - stays its owner's; its parameters that require a gradient are trained: see `chooseTrainable`.
   * @throws ArgumentError when none does.
   */
  constructor(model: MglmmForCausalLM, speech: Speech, options: TrainerOptions) {
    this.model = model;
    this.speech = speech;
    this.#options = {
      optimizer: {},
      weights: {},
      maxLength: 1536,
      recompute: false,
      onBadSample: 'fail',
      cacheBytes: 2 ** 30,
      seed: 42,
      takes: () => true,
      ...options,
    };
    this.#sceneHeads = this.#options.weights.scenes ? new SceneHeads(model).initialize(this.#options.seed).train(() => true) : undefined;
    const all = [
      ...model.namedParameters(),
      ...(options.heads?.namedParameters('heads.') ?? []),
      ...(this.#sceneHeads?.namedParameters('scenes.') ?? []),
    ];
    const trained = all.filter(([, { requiresGrad }]) => requiresGrad);
    if (trained.length === 0) throw new ArgumentError('trainer: no parameter requires a gradient, expected some; see chooseTrainable');
    this.optimizer = new AdamW(trained, this.#options.optimizer);
    this.cache = new FeatureCache(this.#options.cacheBytes);
    const has = (part: string) => trained.some(([key]) => key.includes(part));
    this.#trained = { clip: has('.vision_tower.'), sam: has('.image_encoder.') };
    this.#lora = loraLayers(model);
  }

  /**
   * One step of the optimiser over these micro-batches.
   * @throws TrainingSampleError unless bad samples are skipped; nothing was changed then.
   */
  async step(batches: readonly Batch[]): Promise<StepReport> {
    return onDevice(this.model.device, () => this.#step(batches));
  }

  async #step(batches: readonly Batch[]): Promise<StepReport> {
    const { step } = this.state;
    const badSamples: TrainingSampleError[] = [];
    const skipped = sumOf(batches, (batch) => batch.skipped);
    const taken = batches.map((batch) => this.items(batch, badSamples).filter(this.#options.takes));
    const micro = taken.filter((items) => items.length > 0);
    const lr = this.#options.schedule(step);
    const sums = { loss: 0, ceLoss: 0, maskBceLoss: 0, maskDiceLoss: 0, maskLoss: 0 };
    let masked = 0;
    try {
      for (const [index, items] of micro.entries()) {
        const seed = mixed(mixed(this.#options.seed, step), index);
        this.#setDropout(seed);
        const losses = await this.#backward(items, 1 / micro.length, seed);
        for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += losses[name];
        masked += Number(losses.hasMasks);
      }
      const hasGradient = [...this.optimizer.parameters.values()].some(({ grad }) => grad);
      this.isWhole = false;
      const gradNorm = hasGradient ? await this.#update(lr) : Number.NaN;
      const isApplied = Number.isFinite(gradNorm);
      this.#count(micro.flat(), badSamples.length + skipped, isApplied);
      this.isWhole = true;
      const whole = Math.max(1, micro.length);
      const withMasks = Math.max(1, masked);
      return {
        step,
        loss: sums.loss / whole,
        ceLoss: sums.ceLoss / whole,
        maskBceLoss: sums.maskBceLoss / withMasks,
        maskDiceLoss: sums.maskDiceLoss / withMasks,
        maskLoss: sums.maskLoss / withMasks,
        hasMasks: masked > 0,
        gradNorm,
        lr,
        isApplied,
        samples: micro.flat().length,
        surplusTargets: sumOf(micro.flat(), ({ example }) => example.surplusTargets),
        truncated: sumOf(micro.flat(), ({ example }) => Number(example.isTruncated)),
        badSamples,
        skipped,
      };
    } finally {
      this.#setDropout(undefined);
      this.optimizer.zeroGrad();
      this.cache.sweep();
    }
  }

  /** The losses of samples and their masks, without a gradient and without dropout; read what you need inside of a scope. */
  evaluate(items: readonly Item[]): Objective {
    return onDevice(this.model.device, () => noGradients(() => this.#losses(items, this.#options.seed)));
  }

  /**
   * The samples of a batch that can be trained on.
   * @param bad - gets an error for each other.
   * @throws TrainingSampleError unless bad samples are skipped.
   */
  items(batch: Batch, bad: TrainingSampleError[]): Item[] {
    const { maxLength, onBadSample } = this.#options;
    const size = { maxLength: Math.min(maxLength, this.model.config.llama.context), imageTokens: imageTokens(this.model.config) };
    return batch.samples.flatMap((sample, i) => {
      try {
        const [image, masks = []] = [batch.images[i], batch.masks[i]];
        const example = exampleOf(image ? { ...sample, image: sample.image ?? '' } : { ...sample, image: undefined }, this.speech, size);
        const wrong = masks.findIndex((mask) => mask.length !== (image?.width ?? 0) * (image?.height ?? 0));
        if (wrong >= 0) {
          const sizes = `${masks[wrong]?.length} pixels, expected ${image?.height} x ${image?.width}, those of its image`;
          throw new TrainingSampleError(`sample ${sample.id}: masks[${wrong}] has ${sizes}`);
        }
        return [{ example: { ...example, sample }, image, masks }];
      } catch (error) {
        if (!(error instanceof TrainingSampleError) || onBadSample === 'fail') throw error;
        bad.push(error);
        return [];
      }
    });
  }

  /** Frees the optimiser and the cache; the model is its owner's. */
  [Symbol.dispose](): void {
    this.optimizer.dispose();
    this.#sceneHeads?.dispose();
    this.cache[Symbol.dispose]();
  }

  #losses(items: readonly Item[], seed: number): Objective {
    const { weights, recompute, losses } = this.#options;
    if (losses) return losses(items, seed);
    const { tokenizer, segId = -1 } = this.speech;
    const sceneHeads = this.#sceneHeads;
    const pad = Math.max(0, tokenizer.pad);
    const options = { trained: this.#trained, cache: this.cache, segId, pad, weights, recompute, sceneHeads, seed };
    return lossesOf(this.model, items, options);
  }

  /** Adds `share` of the gradient of one micro-batch. */
  async #backward(items: readonly Item[], share: number, seed: number) {
    return tidy(async () => {
      const losses = this.#losses(items, seed);
      if (losses.loss.requiresGrad) backward(scale(losses.loss, share)); // captions alone touch no mask decoder
      const names = ['loss', 'ceLoss', 'maskBceLoss', 'maskDiceLoss', 'maskLoss'] as const;
      const values = await Promise.all(names.map((name) => losses[name].item()));
      const [loss, ceLoss, maskBceLoss, maskDiceLoss, maskLoss] = values as [number, number, number, number, number];
      return { loss, ceLoss, maskBceLoss, maskDiceLoss, maskLoss, hasMasks: losses.masks.length > 0 };
    });
  }

  /** The norm of the gradients; where it is not finite nothing was changed. */
  async #update(lr: number): Promise<number> {
    return tidy(async () => {
      const norm: Tensor = this.optimizer.step({ lr });
      const value = await norm.item();
      if (!Number.isFinite(value)) this.optimizer.takeBack();
      return value;
    });
  }

  #count(items: readonly Item[], bad: number, isApplied: boolean): void {
    const { counts } = this.state;
    this.state.step++;
    counts.badSamples += bad;
    if (!isApplied) {
      counts.skippedSteps++;
      return;
    }
    counts.samples += items.length;
    counts.tokens += sumOf(items, ({ example }) => example.labels.filter((label) => label >= 0).length);
    counts.masks += sumOf(items, ({ example, masks }) => (masks.length > 0 ? example.predicted : 0));
    counts.surplusTargets += sumOf(items, ({ example }) => example.surplusTargets);
    counts.truncated += sumOf(items, ({ example }) => Number(example.isTruncated));
  }

  #setDropout(seed: number | undefined): void {
    for (const [index, layer] of [...this.#lora.values()].entries())
      layer.dropoutSeed = seed === undefined ? undefined : mixed(seed, index);
  }
}

const sumOf = <One>(items: readonly One[], count: (item: One) => number): number => items.reduce((sum, item) => sum + count(item), 0);
