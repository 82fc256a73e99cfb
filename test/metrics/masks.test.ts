/** Metrics of masks: what must hold for any masks, and each edge that docs/evaluation.md names. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Rle, rleArea, rleFromRuns, rleIou } from '../../lib/image/rle';
import { averagePrecision, type DetectionImage, MaskAveragePrecision } from '../../lib/metrics/average_precision';
import { type GresSample, gresScores } from '../../lib/metrics/gres';
import { greedyPairs, pairedMiou, recalled, strictMiou } from '../../lib/metrics/grounding';
import { ciou, giou, overlapOf, precisionAt, united } from '../../lib/metrics/overlap';
import { byCategory, type CategorySegment, PanopticQuality, painted, SemanticMiou } from '../../lib/metrics/panoptic';
import { turnsDuring } from '../support/turns';

const [height, width] = [7, 9];
const size = [height, width] as const;
const near = (actual: number, wanted: number, within = 1e-4) =>
  assert.ok(Math.abs(actual - wanted) <= within, `is ${actual}, expected ${wanted}`);

/** The mask of these pixels, counted down the columns. */
function maskOf(pixels: readonly boolean[]): Rle {
  const runs = [0];
  for (const pixel of pixels) {
    if (pixel !== (runs.length % 2 === 0)) runs.push(0);
    runs[runs.length - 1] = (runs.at(-1) as number) + 1;
  }
  return rleFromRuns(runs, size);
}

/** Pixels `from` to `to`. */
const stretch = (from: number, to: number) => maskOf(Array.from({ length: height * width }, (_, i) => i >= from && i < to));
const nothing = stretch(0, 0);
const pixels = fc.array(fc.boolean(), { minLength: height * width, maxLength: height * width });
const mask = pixels.map(maskOf);
const filled = mask.filter((rle) => rleArea(rle) > 0);

describe('overlaps', () => {
  test('are those of the pixels, without the ignored ones', () =>
    fc.assert(
      fc.property(pixels, pixels, pixels, (a, b, ignored) => {
        const count = (keep: (i: number) => boolean) => a.filter((_, i) => !ignored[i] && keep(i)).length;
        assert.deepEqual(overlapOf(maskOf(a), maskOf(b), maskOf(ignored)), {
          intersection: count((i) => (a[i] && b[i]) === true),
          union: count((i) => (a[i] || b[i]) === true),
        });
      }),
    ));

  test('of equal masks score 1', () =>
    fc.assert(
      fc.property(fc.array(filled, { minLength: 1, maxLength: 5 }), (masks) => {
        const same = masks.map((one) => overlapOf(one, one));
        near(giou(same), 1);
        near(ciou(same), 1);
        assert.equal(precisionAt(same, 0.9), 1);
      }),
    ));

  test('of masks apart score 0', () => {
    const apart = [overlapOf(stretch(0, 9), stretch(9, 20))];
    assert.deepEqual([giou(apart), ciou(apart), precisionAt(apart, 0.7)], [0, 0, 0]);
  });

  test('give gIoU the mean of masks, and cIoU that of pixels', () => {
    const overlaps = [overlapOf(stretch(0, 1), stretch(0, 1)), overlapOf(stretch(0, 40), stretch(0, 20))];
    near(giou(overlaps), (1 + 1 / 2) / 2);
    near(ciou(overlaps), 21 / 41);
    near(giou(overlaps, 4), 1.5 / 4);
  });

  test('of two empty masks: 1 in gIoU, nothing in cIoU; of no masks: NaN', () => {
    const empty = overlapOf(nothing, nothing);
    near(giou([empty]), 1);
    assert.deepEqual([ciou([empty]), precisionAt([empty], 0.7)], [0, 0]);
    assert.deepEqual([giou([]), ciou([])], [Number.NaN, Number.NaN]);
    assert.deepEqual(united([], size), nothing);
    assert.deepEqual(united([stretch(0, 3), stretch(2, 5)], size), stretch(0, 5));
  });

  test('refuse masks of other sizes', () => {
    const other = rleFromRuns([4], [2, 2]);
    assert.throws(() => overlapOf(nothing, other), { name: 'ShapeError' });
    assert.throws(() => overlapOf(nothing, nothing, other), { name: 'ShapeError' });
  });
});

describe('referring to nothing, or several things', () => {
  const sample = (predicted: Rle, truth: Rle): GresSample => ({
    overlap: overlapOf(predicted, truth),
    hasTarget: rleArea(truth) > 0,
    isRejected: rleArea(predicted) === 0,
  });
  const [right, wrong] = [sample(nothing, nothing), sample(stretch(0, 10), nothing)];
  const [half, missed] = [sample(stretch(0, 10), stretch(0, 20)), sample(nothing, stretch(0, 20))];

  test('nothing found where nothing is: gIoU 1, nothing in cIoU', () => {
    const { giou, ciou, nAcc } = gresScores([right, half]);
    assert.deepEqual([giou, nAcc], [0.75, 1]);
    near(ciou, 0.5);
  });

  test('something found where nothing is: gIoU 0, its area in the unions of cIoU', () => {
    const { giou, ciou, nAcc } = gresScores([wrong, half]);
    assert.deepEqual([giou, nAcc], [0.25, 0]);
    near(ciou, 10 / 30);
  });

  test('a target that is rejected: gIoU 0, its area in the unions; what was predicted all the same counts there, too', () => {
    const { giou, ciou, tAcc } = gresScores([missed, half]);
    assert.deepEqual([giou, tAcc], [0.25, 0.5]);
    near(ciou, 10 / 40);
    const anyway = { ...sample(stretch(10, 30), stretch(0, 20)), isRejected: true };
    assert.deepEqual([gresScores([anyway]).giou, gresScores([anyway]).ciou], [0, 0]);
    near(gresScores([anyway, half]).ciou, 10 / 50);
  });

  test('a mask without a pixel where nothing is to be found is no rejection', () => {
    const { giou, nAcc } = gresScores([{ ...right, isRejected: false }]);
    assert.deepEqual([giou, nAcc], [0, 0]);
  });

  test('shares are of those with a target, or those without; 0 where there are none', () => {
    const scores = gresScores([right, wrong, half, missed, sample(stretch(0, 20), stretch(0, 20))]);
    assert.deepEqual([scores.nAcc, scores.tAcc], [1 / 2, 2 / 3]);
    assert.deepEqual(scores.precision, { '0.7': 1 / 3, '0.8': 1 / 3, '0.9': 1 / 3 });
    assert.deepEqual([gresScores([half]).nAcc, gresScores([right]).tAcc, gresScores([right]).precision['0.7']], [0, 0, 0]);
  });

  test('the order of samples does not matter', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(mask, fc.oneof(mask, fc.constant(nothing))), { minLength: 1, maxLength: 6 }), (pairs) => {
        const samples = pairs.map(([a, b]) => sample(a, b));
        const [there, back] = [gresScores(samples), gresScores([...samples].reverse())];
        near(there.giou, back.giou, 1e-12);
        near(there.ciou, back.ciou, 1e-12);
        assert.deepEqual([there.nAcc, there.tAcc, there.precision], [back.nAcc, back.tAcc, back.precision]);
      }),
    ));
});

describe('grounded phrases', () => {
  test('are paired from the largest IoU down, each mask once', () => {
    assert.deepEqual(
      greedyPairs([
        [0.9, 0.8],
        [0.85, 0.1],
      ]),
      [0.9, 0.1],
    );
    assert.deepEqual(greedyPairs([[0, 0]]), []);
  });

  test('mIoU is of the pairs alone, the strict one of all masks', () => {
    const iou = [[0.8, 0, 0]];
    assert.equal(pairedMiou(iou), 0.8);
    assert.equal(strictMiou(iou, 3, 1), 0.8 / 3);
    assert.deepEqual([pairedMiou([]), strictMiou([], 0, 0), strictMiou([], 0, 2)], [0, 1, 0]);
  });

  test('recall stops at the first pair that fails, unless it is told to go on', () => {
    const iou = [
      [0.9, 0],
      [0, 0.8],
    ];
    const differs = [
      [0.1, 0.1],
      [0.1, 0.9],
    ];
    assert.deepEqual([recalled(iou, differs), recalled(iou, differs, { stopsEarly: false })], [0, 1]);
    const agrees = [
      [1, 0],
      [0, 1],
    ];
    assert.deepEqual([recalled(iou, agrees), recalled([[0.49]], [[1]]), recalled([[0.5]], [[0.5]])], [2, 0, 1]);
    assert.equal(recalled([[]], [[]]), 0);
  });

  test('a picture whose chosen mask has no phrase is dropped', () => assert.equal(recalled([[0.2, 0.9]], [[1]]), undefined));

  test('equal masks with equal phrases are all found, in any order', () =>
    fc.assert(
      fc.property(fc.uniqueArray(filled, { minLength: 1, maxLength: 5, selector: ({ counts }) => counts }), (masks) => {
        const back = [...masks].reverse();
        const iou = rleIou(masks, back);
        const similarity = masks.map((one) => back.map((other) => Number(one === other)));
        assert.deepEqual([pairedMiou(iou), strictMiou(iou, masks.length, masks.length)], [1, 1]);
        assert.equal(recalled(iou, similarity), masks.length);
      }),
    ));
});

describe('average precision', () => {
  const image = (detections: readonly Rle[], truths: readonly Rle[]): DetectionImage => ({
    detections: detections.map((rle) => ({ rle })),
    truths: truths.map((rle) => ({ rle })),
  });

  test('is 1 for equal masks, 0 for none, NaN without a truth', async () => {
    const { ap, ap50, ar1, apSmall, apLarge } = await averagePrecision([image([stretch(0, 9)], [stretch(0, 9)])]);
    assert.deepEqual(
      [ap, ap50, ar1, apSmall, apLarge].map((value) => Math.round(1e9 * value) / 1e9),
      [1, 1, 1, 1, Number.NaN],
    );
    assert.equal((await averagePrecision([image([], [nothing, stretch(0, 9)])])).ap50, 0);
    assert.equal((await averagePrecision([image([stretch(0, 9)], [])])).ap50, Number.NaN);
  });

  test('counts a second mask on one thing as wrong', async () => {
    const { ap50 } = await averagePrecision([image([stretch(0, 9), stretch(0, 9)], [stretch(0, 9), stretch(20, 29)])]);
    near(ap50, 51 / 101, 1e-9); // precision 1 up to recall 0.5
    const late = await averagePrecision([image([stretch(40, 50), stretch(0, 9)], [stretch(0, 9)])]);
    near(late.ap50, 0.5, 1e-9); // the wrong one comes first: with equal scores the order of the list decides
  });

  test('takes pictures in the order they are given, or by a number of theirs', async () => {
    const [wrong, right] = [image([stretch(40, 50)], []), image([stretch(0, 9)], [stretch(0, 9)])];
    near((await averagePrecision([wrong, right])).ap50, 0.5, 1e-9);
    near((await averagePrecision([right, wrong])).ap50, 1, 1e-9);
    near(
      (
        await averagePrecision([
          { ...wrong, order: 8 },
          { ...right, order: 3 },
        ])
      ).ap50,
      1,
      1e-9,
    );
  });

  test('lets other JavaScript run in between', async () => {
    const masks = Array.from({ length: 20 }, (_, i) => stretch(i, i + 9));
    const sum = new MaskAveragePrecision();
    for (let i = 0; i < 100; i++) sum.add(image(masks, masks));
    assert.ok((await turnsDuring(() => sum.scores())) > 50);
  });

  test('leaves out what lies in a crowd', async () => {
    const crowd = { rle: stretch(20, 50), isCrowd: true };
    const detections = [{ rle: stretch(20, 30) }, { rle: stretch(30, 40) }, { rle: stretch(0, 9) }];
    near((await averagePrecision([{ detections, truths: [{ rle: stretch(0, 9) }, crowd] }])).ap50, 1, 1e-9);
  });
});

describe('whole pictures', () => {
  const segment = (category: string, rle: Rle): CategorySegment => ({ category, rle });
  const quality = (...images: Parameters<PanopticQuality['add']>[0][]) => {
    const sum = new PanopticQuality();
    for (const one of images) sum.add(one);
    return sum.scores();
  };
  const miou = (image: Parameters<SemanticMiou['add']>[0]) => {
    const sum = new SemanticMiou();
    sum.add(image);
    return sum.scores().miou;
  };
  const truth = [segment('dog', stretch(0, 20)), segment('dog', stretch(20, 40)), segment('sky', stretch(40, 63))];

  test('equal ones score 1, in any order of segments', () => {
    const image = { size, predicted: [...truth].reverse(), truth };
    const { pq, sq, rq, categories } = quality(image);
    assert.deepEqual([pq, sq, rq, miou(image)], [1, 1, 1, 1]);
    assert.deepEqual([...categories.keys()].sort(), ['dog', 'sky']);
  });

  test('a match is of one category and above half', () => {
    assert.equal(quality({ size, predicted: [segment('cat', stretch(0, 20))], truth: truth.slice(0, 1) }).pq, 0);
    assert.equal(quality({ size, predicted: [segment('dog', stretch(0, 10))], truth: truth.slice(0, 1) }).pq, 0);
    const { pq, sq, rq } = quality({ size, predicted: [segment('dog', stretch(0, 11))], truth: truth.slice(0, 2) });
    assert.deepEqual([sq, rq, pq], [11 / 20, 2 / 3, (11 / 20) * (2 / 3)]);
  });

  test('what is ignored counts neither for nor against', () => {
    const [dog] = truth as [CategorySegment];
    const ignored = stretch(20, 63);
    assert.equal(quality({ size, predicted: [segment('dog', stretch(0, 35))], truth: [dog], ignored }).pq, 1);
    const surplus = [dog, segment('dog', stretch(19, 60))];
    assert.equal(quality({ size, predicted: painted([...surplus].reverse(), size), truth: [dog], ignored }).rq, 1);
    assert.equal(quality({ size, predicted: [dog, segment('dog', stretch(20, 63))], truth: [dog] }).rq, 1 / 1.5);
    assert.equal(miou({ size, predicted: [segment('dog', stretch(0, 35))], truth: [dog], ignored }), 1);
    assert.equal(miou({ size, predicted: [segment('dog', stretch(0, 40))], truth: [dog] }), 1 / 2);
  });

  test('a category that is made up takes its share of mIoU', () => {
    const [dog] = truth as [CategorySegment];
    assert.equal(miou({ size, predicted: [dog, segment('cat', stretch(20, 30))], truth: [dog] }), 1 / 2);
    assert.equal(miou({ size, predicted: [], truth }), 0);
    assert.equal(miou({ size, predicted: [], truth: [] }), Number.NaN);
  });

  test('painting puts the later over the earlier, and what is left is the background', () => {
    const segments = [segment('a', stretch(0, 20)), segment('b', stretch(10, 30)), segment('c', stretch(12, 14)), segment('d', nothing)];
    assert.deepEqual(painted(segments, size, 'rest'), [
      segment('rest', stretch(30, 63)),
      segment('a', stretch(0, 10)),
      segment('b', maskOf(Array.from({ length: 63 }, (_, i) => i >= 10 && i < 30 && i !== 12 && i !== 13))),
      segment('c', stretch(12, 14)),
    ]);
    assert.deepEqual(byCategory([segment('a', stretch(0, 4)), segment('a', stretch(4, 9))]), [segment('a', stretch(0, 9))]);
  });
});
