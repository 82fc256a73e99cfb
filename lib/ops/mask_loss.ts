import { call } from '../autograd/call';
import type { Tensor } from '../tensor/tensor';
import type { MaskPlacement } from './mask_bits';

export interface MaskLossOptions {
  /** Of the picture that `target` is about, in an input no smaller than `pred`; default: `pred` is resized straight to `target`. */
  placement?: MaskPlacement;
  /** Masks that the losses are divided by, those of the whole batch; default the masks of `pred`. */
  count?: number;
  /** Divides the sums of Dice, so that `eps` weighs as `scale * eps` pixels; default 1000. */
  scale?: number;
  /** Keeps Dice from 0 / 0; default 1e-6. */
  eps?: number;
}

/**
 * Binary cross entropy (mean over the pixels of a mask) and Dice loss of predicted masks, each summed over the masks and
 * divided by `count + 1e-8`, and how good each mask is; one pass for all, and one for the gradient of both losses. Logits are
 * resized on the way as {@link bilinear} does it: to the input of the network, cut to what is picture, to the picture.
 * @param pred - `[masks, lowHeight, lowWidth]`, logits, f32, bf16 or f16.
 * @param target - `[masks, height, width]`, 0 or 1, f32 or u8.
 * @returns Two f32 scalars, differentiable in `pred`, and of each mask the IoU of `pred` above 0 with `target`, `[masks]` f32, 1 where
 *   neither has a pixel; no gradient.
 * @throws ShapeError, DtypeError or ArgumentError for what does not fit.
 * @see Lai et al. 2023, https://arxiv.org/abs/2308.00692; Kirillov et al. 2023, https://arxiv.org/abs/2304.02643
 */
export function maskLoss(pred: Tensor, target: Tensor, options?: MaskLossOptions): { bce: Tensor; dice: Tensor; iou: Tensor } {
  const { placement, count = pred?.shape?.[0], scale, eps } = options ?? {};
  const { inputSize, resized: [resizedHeight, resizedWidth] = [] } = placement ?? {};
  const { bce, dice, iou } = call('maskLoss', { pred, target, inputSize, resizedHeight, resizedWidth, count, scale, eps });
  return { bce: bce as Tensor, dice: dice as Tensor, iou: iou as Tensor };
}
