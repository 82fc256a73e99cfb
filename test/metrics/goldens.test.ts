/** Parity with the reference evaluations: every file of MGLMM_GOLDEN/metrics, within 1e-6. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import type { Rle } from '../../lib';
import { rleFromRuns, rleIou } from '../../lib/image/rle';
import { averagePrecision } from '../../lib/metrics/average_precision';
import { gresScores } from '../../lib/metrics/gres';
import { pairedMiou, recalled } from '../../lib/metrics/grounding';
import { ciou, giou, type Overlap, overlapIou, overlapOf, united } from '../../lib/metrics/overlap';
import { byCategory, type CategorySegment, PanopticQuality, painted, SemanticMiou } from '../../lib/metrics/panoptic';
import { goldenFolder } from '../support/golden';

const folder = join(goldenFolder, 'metrics');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const kinds = ['gcg', 'gres', 'panoptic', 'referring'];

test('there is a golden of each kind, and none that is not read', () =>
  assert.deepEqual([...new Set(files.map((name) => kinds.find((kind) => name.startsWith(kind))))].sort(), kinds));

const of = <Golden>(kind: string): [string, Golden][] =>
  files.filter((name) => name.startsWith(kind)).map((name) => [name, JSON.parse(readFileSync(join(folder, name), 'utf8')) as Golden]);

function near(actual: number, wanted: number, what: string): void {
  assert.ok(Math.abs(actual - wanted) <= 1e-6, `${what} is ${actual}, expected ${wanted}`);
}

interface ReferringImages {
  images: { pred: Rle[]; gt: Rle[]; ignore?: Rle[] }[];
  expected: { giou: number; ciou: number; intersection: number[]; union: number[]; count: number; giou_per_image: number[] };
}

function compareReferring(overlaps: Overlap[][], counts: number[], { expected }: ReferringImages): void {
  const all = overlaps.flat();
  const count = counts.reduce((sum, one) => sum + one, 0);
  assert.equal(count, expected.count);
  assert.equal(
    all.reduce((sum, one) => sum + one.intersection, 0),
    expected.intersection[1],
  );
  assert.equal(
    all.reduce((sum, one) => sum + one.union, 0),
    expected.union[1],
  );
  near(giou(all, count), expected.giou, 'gIoU');
  near(ciou(all), expected.ciou, 'cIoU');
  for (const [i, one] of overlaps.entries()) {
    const mean = one.reduce((sum, overlap) => sum + overlapIou(overlap), 0) / (counts[i] as number);
    near(mean, expected.giou_per_image[i] as number, `gIoU of image ${i}`);
  }
}

for (const [name, golden] of of<ReferringImages & { size: [number, number]; merged: ReferringImages }>('referring'))
  describe(name, () => {
    test('masks one by one', () => {
      const overlaps = golden.images.map(({ pred, gt, ignore }) =>
        gt.slice(0, pred.length).map((truth, i) => overlapOf(pred[i] as Rle, truth, ignore?.[i])),
      );
      compareReferring(
        overlaps,
        golden.images.map(({ gt }) => gt.length),
        golden,
      );
    });
    test('masks of an image as one', () => {
      const overlaps = golden.merged.images.map(({ pred, gt }) => [overlapOf(united(pred, golden.size), united(gt, golden.size))]);
      compareReferring(
        overlaps,
        overlaps.map(() => 1),
        golden.merged,
      );
    });
  });

interface Gres {
  size: [number, number];
  samples: { pred: Rle; gt: Rle; no_target: boolean }[];
  expected: Record<string, number>;
}

for (const [name, { samples, size, expected }] of of<Gres>('gres'))
  test(name, () => {
    const empty = united([], size);
    const scores = gresScores(
      samples.map(({ pred, gt, no_target }) => {
        const overlap = overlapOf(pred, gt);
        return { overlap, hasTarget: !no_target, isRejected: overlapOf(pred, empty).union === 0 };
      }),
    );
    const actual = { giou: scores.giou, ciou: scores.ciou, n_acc: scores.nAcc, t_acc: scores.tAcc };
    for (const [key, value] of Object.entries(actual)) near(value, expected[key] as number, key);
    for (const [at, value] of Object.entries(scores.precision)) near(value, expected[`pr@${at}`] as number, `Pr@${at}`);
  });

interface Gcg {
  images: { id: string }[];
  annotations: { image_id: string; segmentation: Rle; iscrowd?: number }[];
  detections: { image_id: string; segmentation: Rle; score: number; varied_score: number }[];
  text_similarity: Record<string, number[][]>;
  expected: {
    score_1: Record<string, number>;
    varied_scores: Record<string, number>;
    miou: number;
    recall: number;
    per_image: { image_id: string; miou: number; true_positives: number | null; positives: number; dropped: boolean }[];
  };
}

const cocoNames = 'AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large'.split(' ');

for (const [name, { images, annotations, detections, text_similarity, expected }] of of<Gcg>('gcg'))
  describe(name, () => {
    const ids = images.map(({ id }) => id).sort();
    const truthsOf = (id: string) => annotations.filter(({ image_id }) => image_id === id);
    const foundIn = (id: string) => detections.filter(({ image_id }) => image_id === id);
    for (const [key, field] of [
      ['score_1', 'score'],
      ['varied_scores', 'varied_score'],
    ] as const)
      test(`average precision, ${key}`, async () => {
        const scores = await averagePrecision(
          ids.map((id) => ({
            detections: foundIn(id).map((one) => ({ rle: one.segmentation, score: one[field] })),
            truths: truthsOf(id).map((one) => ({ rle: one.segmentation, isCrowd: one.iscrowd === 1 })),
          })),
        );
        for (const [i, value] of Object.values(scores).entries()) {
          const wanted = expected[key][cocoNames[i] as string] as number;
          assert.ok(Math.abs((Number.isNaN(value) ? -1 : value) - wanted) <= 1e-9, `${cocoNames[i]} is ${value}, expected ${wanted}`);
        }
      });
    test('pairs and recall', () => {
      const results = ids.map((id) => {
        const iou = rleIou(
          truthsOf(id).map(({ segmentation }) => segmentation),
          foundIn(id).map(({ segmentation }) => segmentation),
        );
        return { id, miou: pairedMiou(iou), found: recalled(iou, text_similarity[id] ?? []), positives: iou.length };
      });
      for (const { id, miou, found, positives } of results) {
        const wanted = expected.per_image.find(({ image_id }) => image_id === id);
        near(miou, wanted?.miou ?? Number.NaN, `mIoU of ${id}`);
        assert.deepEqual([found ?? null, positives, found === undefined], [wanted?.true_positives, wanted?.positives, wanted?.dropped], id);
      }
      near(results.reduce((sum, { miou }) => sum + miou, 0) / results.length, expected.miou, 'mIoU');
      const counted = results.filter(({ found }) => found !== undefined);
      const positives = counted.reduce((sum, one) => sum + one.positives, 0);
      near(counted.reduce((sum, { found }) => sum + (found as number), 0) / positives, expected.recall, 'recall');
    });
  });

interface Panoptic {
  void: number;
  images: { gt: number[][]; masks: { category_id: number; segmentation: Rle }[] }[];
  expected: {
    pq: number;
    sq: number;
    rq: number;
    n: number;
    per_class: Record<string, { pq: number; sq: number; rq: number; seen: boolean }>;
    miou: number;
  };
}

/** The pixels of a map `[height][width]` that have a value. */
function segmentOf(map: number[][], value: number): CategorySegment {
  const [height, width] = [map.length, map[0]?.length ?? 0];
  const runs = [0];
  for (let i = 0; i < height * width; i++) {
    if ((map[i % height]?.[Math.floor(i / height)] === value) !== (runs.length % 2 === 0)) runs.push(0);
    runs[runs.length - 1] = (runs.at(-1) as number) + 1;
  }
  return { category: String(value), rle: rleFromRuns(runs, [height, width]) };
}

/** One segment a value, but for `nowhere`. */
const segmentsOf = (map: number[][], nowhere: number): CategorySegment[] =>
  [...new Set(map.flat())].filter((value) => value !== nowhere).map((value) => segmentOf(map, value));

for (const [name, golden] of of<Panoptic>('panoptic'))
  test(name, () => {
    const [quality, miou] = [new PanopticQuality(), new SemanticMiou()];
    for (const { gt, masks } of golden.images) {
      const size = [gt.length, gt[0]?.length ?? 0] as const;
      const segments = masks.map(({ category_id, segmentation }) => ({ category: String(category_id), rle: segmentation }));
      const [truth, ignored] = [segmentsOf(gt, golden.void), segmentOf(gt, golden.void).rle];
      const image = { size, predicted: byCategory(painted(segments, size, '0')), truth, ignored };
      quality.add(image);
      miou.add(image);
    }
    const { pq, sq, rq, categories } = quality.scores();
    for (const [key, value] of Object.entries({ pq, sq, rq })) near(value, golden.expected[key as 'pq'], key);
    assert.equal(categories.size, golden.expected.n);
    for (const [category, wanted] of Object.entries(golden.expected.per_class)) {
      assert.equal(categories.has(category), wanted.seen);
      for (const key of ['pq', 'sq', 'rq'] as const) near(categories.get(category)?.[key] ?? 0, wanted[key], `${key} of ${category}`);
    }
    near(miou.scores().miou, golden.expected.miou, 'mIoU');
  });
