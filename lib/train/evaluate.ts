/** A look at samples that are not trained on: the loss, and how well masks of known answers agree with the truth. */
import type { BatchSource } from '../data/loader';
import type { TrainingSampleError } from '../errors';
import { maskIntersections } from '../ops/mask_intersections';
import { packBits } from '../ops/pack_bits';
import { rowsView } from '../ops/rows_view';
import { noGradients } from '../tensor/ambient';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import type { Losses } from './micro_batch';
import type { Trainer } from './trainer';

export interface Evaluation {
  /** Mean over batches, weighted as in training. */
  readonly loss: number;
  readonly ceLoss: number;
  /** Mean IoU of masks, and all their intersections over all their unions; NaN without masks. */
  readonly giou: number;
  readonly ciou: number;
  readonly samples: number;
  readonly masks: number;
}

/** Of the first `batches` batches of `source`. */
export async function evaluate(trainer: Trainer, source: BatchSource, batches: number, signal?: AbortSignal): Promise<Evaluation> {
  const sums = { loss: 0, ceLoss: 0, iou: 0, both: 0, either: 0, samples: 0, masks: 0, batches: 0 };
  const count = Math.min(batches, source.length);
  const bad: TrainingSampleError[] = [];
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const items = trainer.items(await source.batch(index, { signal }), bad);
    if (items.length === 0) continue;
    await tidy(async () => {
      const losses = trainer.evaluate(items);
      const overlaps = await noGradients(() => overlapsOf(losses));
      sums.loss += await losses.loss.item();
      sums.ceLoss += await losses.ceLoss.item();
      for (const { both, either } of overlaps) {
        sums.iou += either > 0 ? both / either : 1;
        sums.both += both;
        sums.either += either;
      }
      sums.masks += overlaps.length;
    });
    trainer.cache.sweep();
    sums.samples += items.length;
    sums.batches++;
  }
  return {
    loss: sums.loss / sums.batches,
    ceLoss: sums.ceLoss / sums.batches,
    giou: sums.iou / sums.masks,
    ciou: sums.masks > 0 && sums.either === 0 ? 1 : sums.both / sums.either,
    samples: sums.samples,
    masks: sums.masks,
  };
}

/** Pixels that both masks have, and that one of them has, of each pair. */
async function overlapsOf({ predMasks, gtMasks }: Losses): Promise<{ both: number; either: number }[]> {
  const pairs = predMasks.flatMap((pred, i) => {
    const truth = gtMasks[i];
    return pred && truth ? masksOf(pred).map((one, at) => [one, masksOf(truth)[at] as Tensor] as const) : [];
  });
  return Promise.all(
    pairs.map(async ([pred, truth]) => {
      const [a, b] = [packBits(pred), packBits(truth)];
      const [both, first, second] = (await Promise.all([
        maskIntersections(a, b).item(),
        maskIntersections(a, a).item(),
        maskIntersections(b, b).item(),
      ])) as [number, number, number];
      return { both, either: first + second - both };
    }),
  );
}

const masksOf = (masks: Tensor): Tensor[] => Array.from({ length: masks.shape[0] as number }, (_, i) => rowsView(masks, i, i + 1));
