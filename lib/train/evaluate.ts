/** A look at samples that are not trained on: the loss, and how well masks of known answers agree with the truth. */
import type { BatchSource } from '../data/loader';
import type { TrainingSampleError } from '../errors';
import { ciou, giou, type Overlap } from '../metrics/overlap';
import { bilinear } from '../ops/bilinear';
import { maskBits } from '../ops/mask_bits';
import { maskIntersections } from '../ops/mask_intersections';
import { packBits } from '../ops/pack_bits';
import { rowsView } from '../ops/rows_view';
import { noGradients } from '../tensor/ambient';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import type { MaskPair } from './objective';
import type { Trainer } from './trainer';

export interface Evaluation {
  /** Mean over batches, weighted as in training. */
  readonly loss: number;
  readonly ceLoss: number;
  /** Of masks, each by itself, as lib/metrics/overlap.ts has them; NaN without masks. */
  readonly giou: number;
  readonly ciou: number;
  readonly samples: number;
  readonly masks: number;
  /** Samples that were left out. */
  readonly badSamples: readonly TrainingSampleError[];
}

/** Of the first `batches` batches of `source`. */
export async function evaluate(trainer: Trainer, source: BatchSource, batches: number, signal?: AbortSignal): Promise<Evaluation> {
  const sums = { loss: 0, ceLoss: 0, samples: 0, batches: 0 };
  const overlaps: Overlap[] = [];
  const count = Math.min(batches, source.length);
  const badSamples: TrainingSampleError[] = [];
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const items = trainer.items(await source.batch(index, { signal }), badSamples);
    if (items.length === 0) continue;
    await tidy(async () => {
      const losses = trainer.evaluate(items);
      overlaps.push(...(await noGradients(() => overlapsOf(losses.masks))));
      sums.loss += await losses.loss.item();
      sums.ceLoss += await losses.ceLoss.item();
    });
    trainer.cache.sweep();
    sums.samples += items.length;
    sums.batches++;
  }
  return {
    loss: sums.loss / sums.batches,
    ceLoss: sums.ceLoss / sums.batches,
    giou: giou(overlaps),
    ciou: ciou(overlaps),
    samples: sums.samples,
    masks: overlaps.length,
    badSamples,
  };
}

async function overlapsOf(pairs: readonly MaskPair[]): Promise<Overlap[]> {
  const bits = pairs.flatMap((pair) => {
    const truth = masksOf(packBits(pair.target));
    return masksOf(predictedBits(pair)).map((one, i) => [one, truth[i] as Tensor] as const);
  });
  return Promise.all(
    bits.map(async ([a, b]) => {
      const [intersection, first, second] = (await Promise.all([
        maskIntersections(a, b).item(),
        maskIntersections(a, a).item(),
        maskIntersections(b, b).item(),
      ])) as [number, number, number];
      return { intersection, union: first + second - intersection };
    }),
  );
}

function predictedBits({ pred, target, placement }: MaskPair): Tensor {
  const [, height, width] = target.shape as [number, number, number];
  return placement ? maskBits(pred, { ...placement, original: [height, width] }) : packBits(bilinear(pred, height, width));
}

const masksOf = (masks: Tensor): Tensor[] => Array.from({ length: masks.shape[0] as number }, (_, i) => rowsView(masks, i, i + 1));
