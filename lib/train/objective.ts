/**
 * What training makes small: the cross entropy of the answers, and how far the masks are off, by pixel and by overlap. Lai et al.
 * 2023, arXiv 2308.00692, equations 3 and 4; the weights are those of MGLMM's code.
 */
import { ArgumentError } from '../errors';
import { add } from '../ops/add';
import { cast } from '../ops/cast';
import { concat } from '../ops/concat';
import { zeros } from '../ops/fill';
import { linearCrossEntropy } from '../ops/linear_cross_entropy';
import type { MaskPlacement } from '../ops/mask_bits';
import { maskLoss } from '../ops/mask_loss';
import { mul } from '../ops/mul';
import { scale } from '../ops/scale';
import { slice } from '../ops/slice';
import { mean } from '../ops/sum';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

export interface ObjectiveWeights {
  /** Of the cross entropy; default 1. */
  ce?: number;
  /** Of the binary cross entropy of masks; default 2. */
  bce?: number;
  /** Of the Dice loss of masks; default 0.5. */
  dice?: number;
  /** Of what patches of CLIP tell of made-up scenes, by heads that are thrown away; default 0. */
  scenes?: number;
  /** Of both, once more, of where prompts point to on SAM's map; default 0. */
  map?: number;
  /** Of the squared error of what the mask decoder says of how good its masks are; default 0. */
  iou?: number;
}

export interface ObjectiveInputs {
  /** `[conversations, tokens, dim]`, normed. */
  readonly states: Tensor;
  /** `[vocab, dim]`, the weight of the head. */
  readonly head: Tensor;
  /** `[conversations, tokens]` i32; that of token s is compared with the logits of s - 1; -100: none. */
  readonly labels: Tensor;
  /** For each image `[masks, lowHeight, lowWidth]` logits; undefined where there are none. */
  readonly predMasks: readonly (Tensor | undefined)[];
  /** Of each image in the input of the network; without one its logits are resized straight to `gtMasks`. */
  readonly placements?: readonly (MaskPlacement | undefined)[];
  /** For each image `[masks]`, how good the mask decoder says they are; read with a weight of `iou`. */
  readonly predIous?: readonly (Tensor | undefined)[];
  /** For each image `[masks, height, width]` u8 or f32, 0 or 1, in its own size; what there are more of than predicted is left out. */
  readonly gtMasks: readonly (Tensor | undefined)[];
}

/** f32 scalars, weighted, differentiable; `loss` is their sum, and what scores of masks lose with a weight of `iou`. */
export interface Objective {
  readonly loss: Tensor;
  readonly ceLoss: Tensor;
  readonly maskBceLoss: Tensor;
  readonly maskDiceLoss: Tensor;
  /** The two losses of masks together. */
  readonly maskLoss: Tensor;
  /** What was compared: of each image that has masks. */
  readonly masks: readonly MaskPair[];
}

/**
 * The losses of masks are means over all masks of the batch.
 * @throws ArgumentError when an image has fewer true masks than predicted ones; ShapeError, DtypeError for what does not fit.
 */
export function objective(inputs: ObjectiveInputs, { ce = 1, ...weights }: ObjectiveWeights = {}): Objective {
  return tidy(() => {
    const { states, head, labels, predMasks, predIous, placements, gtMasks } = inputs;
    const ceLoss = scale(linearCrossEntropy(states, head, labels, { shift: true }).loss, ce);
    const pairs = predMasks.flatMap((pred, image) =>
      pred ? [{ pred, target: targetOf(pred, gtMasks[image], image), placement: placements?.[image], iou: predIous?.[image] }] : [],
    );
    return sumOfLosses(ceLoss, pairs, weights);
  });
}

/** Masks as they are predicted, `[masks, lowHeight, lowWidth]`, and as they are, `[masks, height, width]`. */
export interface MaskPair {
  readonly pred: Tensor;
  readonly target: Tensor;
  /** Of the picture in the input of the network; without it `pred` is resized straight to `target`. */
  readonly placement?: MaskPlacement;
  /** How good the mask decoder says they are, `[masks]`. */
  readonly iou?: Tensor;
}

/** @param ceLoss - weighted; the losses of masks are means over those of all pairs. */
export function sumOfLosses(ceLoss: Tensor, pairs: readonly MaskPair[], { bce = 2, dice = 0.5, iou = 0 }: ObjectiveWeights): Objective {
  const count = pairs.reduce((sum, { pred }) => sum + (pred.shape[0] as number), 0);
  const losses = pairs.map(({ pred, target, placement }) => maskLoss(pred, target, { placement, count }));
  const total = (parts: readonly Tensor[], weight: number) => (parts.length > 0 ? scale(parts.reduce(add), weight) : zeros([]));
  const maskBceLoss = total(
    losses.map((one) => one.bce),
    bce,
  );
  const maskDiceLoss = total(
    losses.map((one) => one.dice),
    dice,
  );
  const maskLosses = add(maskBceLoss, maskDiceLoss);
  const scored = iou > 0 ? pairs.flatMap(({ iou: told }, i) => (told ? [{ told, is: (losses[i] as { iou: Tensor }).iou }] : [])) : [];
  const scores = scored.length > 0 ? [scale(scoreLoss(scored), iou)] : [];
  const loss = [ceLoss, maskLosses, ...scores].reduce(add);
  return { loss, ceLoss, maskBceLoss, maskDiceLoss, maskLoss: maskLosses, masks: pairs };
}

/** Mean squared error, f32 `[]`, of IoUs that are told, `[masks]` each; as in Segment Anything, arXiv 2304.02643. */
function scoreLoss(scored: readonly { readonly told: Tensor; readonly is: Tensor }[]): Tensor {
  const [told, is] = (['told', 'is'] as const).map((key) =>
    concat(
      scored.map((one) => one[key]),
      0,
    ),
  ) as [Tensor, Tensor];
  const error = add(cast(told, 'f32'), scale(is, -1));
  return mean(mul(error, error));
}

function targetOf(pred: Tensor, truth: Tensor | undefined, image: number): Tensor {
  const [wanted = 0, given = 0] = [pred.shape[0], truth?.shape[0]];
  if (!truth || given < wanted)
    throw new ArgumentError(`objective: image ${image} has ${given} true masks, expected at least the ${wanted} that are predicted`);
  return given === wanted ? truth : slice(truth, 0, 0, wanted);
}
