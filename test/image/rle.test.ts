/** Parity with pycocotools: every mask, IoU, union and string of MGLMM_GOLDEN/masks, and of random masks both ways. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import {
  type Box,
  boxIou,
  compressRuns,
  decodeMasks,
  encodeMasks,
  expandRuns,
  mergeRles,
  packBits,
  parseRleAnnotation,
  type Rle,
  rleArea,
  rleBox,
  rleFromRuns,
  rleIou,
  tensor,
} from '../../lib';
import { assertWithin } from '../support/close';
import { uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { goldenFolder } from '../support/golden';

interface Expected {
  masks: { kind: string; size: [number, number]; counts: string; uncompressed: number[]; area: number; bbox: number[]; rows: string[] }[];
  iou: { dt: Rle[]; gt: Rle[]; iscrowd: number[]; iou: number[][]; iou_nocrowd: number[][]; boxes: BoxExpected }[];
  merge: { masks: Rle[]; union: string; intersection: string; size: [number, number] }[];
  base64: { string: string | null; size?: [number, number]; counts?: string; area?: number; decoded?: null }[];
  malformed: (Rle & { note: string })[];
}
interface BoxExpected {
  dt: Box[];
  gt: Box[];
  iscrowd: number[];
  iou: number[][];
}

const expected = JSON.parse(readFileSync(join(goldenFolder, 'masks/expected.json'), 'utf8')) as Expected;

function assertIou(actual: number[][], wanted: number[][]): void {
  assert.equal(actual.length, wanted.length);
  const shape = [wanted.length, wanted[0]?.length ?? 0];
  assertWithin(actual.flat(), wanted.flat(), () => 1e-12, { shape, dtype: 'f32' }, 'iou');
}

onEveryDevice('masks of the goldens', () => {
  test('there are some', () => assert.ok(expected.masks.length > 0 && expected.iou.length > 0 && expected.malformed.length > 0));

  for (const [i, { kind, size, counts, uncompressed, area, bbox, rows }] of expected.masks.entries())
    test(`${i} ${kind} [${size}]`, async () => {
      const pixels = Uint8Array.from(rows.join(''), Number);
      const masks = tensor(pixels, [1, ...size]);
      assert.deepEqual([...expandRuns({ size, counts })], uncompressed);
      assert.equal(compressRuns(uncompressed), counts);
      assert.deepEqual(rleFromRuns(uncompressed, size), { size, counts });
      assert.equal(rleArea({ size, counts }), area);
      assert.deepEqual([...rleBox({ size, counts })], bbox);
      assert.deepEqual(await encodeMasks(masks), [{ size, counts }]);
      assert.deepEqual(await encodeMasks(packBits(masks), size[1]), [{ size, counts }]);
      assert.deepEqual([...(await (await decodeMasks([{ size, counts }])).read())], [...pixels]);
      assert.deepEqual(await (await decodeMasks([{ size, counts }], true)).read(), await packBits(masks).read());
    });

  for (const [i, { dt, gt, iscrowd, iou, iou_nocrowd, boxes }] of expected.iou.entries())
    test(`IoU ${i}`, () => {
      assertIou(rleIou(dt, gt, iscrowd.map(Boolean)), iou);
      assertIou(rleIou(dt, gt), iou_nocrowd);
      assertIou(boxIou(boxes.dt, boxes.gt, boxes.iscrowd.map(Boolean)), boxes.iou);
    });

  test('IoU of boxes is of lists of them', () => {
    const box: Box = [0, 0, 5, 5];
    const says = (list: string, got: string) => ({
      name: 'ArgumentError',
      message: `boxIou: ${list}[0] is ${got}, expected [x, y, width, height]`,
    });
    assert.throws(() => boxIou(box as never, [box]), says('dt', '0'));
    assert.throws(() => boxIou([box], [[0, 0, 5]] as never), says('gt', '[0, 0, 5]'));
  });

  for (const [i, { masks, union, intersection, size }] of expected.merge.entries())
    test(`union and intersection ${i}`, () => {
      assert.deepEqual(mergeRles(masks), { size, counts: union });
      assert.deepEqual(mergeRles(masks, true), { size, counts: intersection });
    });

  for (const [i, { string, size, counts, area }] of expected.base64.entries())
    test(`annotation ${i}`, () => {
      const rle = parseRleAnnotation(string);
      assert.deepEqual(rle, counts === undefined ? undefined : { size, counts });
      if (rle && area !== undefined) assert.equal(rleArea(rle), area);
    });

  for (const { size, counts } of expected.malformed)
    test(`refuses ${JSON.stringify(counts)}`, () => assert.throws(() => expandRuns({ size, counts }), { name: 'ArgumentError' }));
});

onEveryDevice('masks of any size', () => {
  for (const [count, height, width, runLength] of [
    [3, 65, 130, 40],
    [5, 128, 64, 3],
    [2, 1, 200, 1],
    [1, 200, 1, 7],
    [9, 37, 63, 1],
    [2, 0, 5, 1],
    [0, 4, 4, 1],
  ] as [number, number, number, number][])
    test(`${count} of [${height}, ${width}], runs of about ${runLength}, there and back`, async () => {
      const next = uniform(height + width);
      let value = 0;
      const pixels = Uint8Array.from({ length: count * height * width }, () => (value = next() < 1 / runLength ? 1 - value : value));
      const masks = tensor(pixels, [count, height, width]);
      const rles = await encodeMasks(masks);
      assert.equal(rles.length, count);
      for (const [i, rle] of rles.entries()) {
        const runs: number[] = [];
        let [last, open] = [0, 0];
        for (let x = 0; x < width; x++)
          for (let y = 0; y < height; y++) {
            const pixel = pixels[(i * height + y) * width + x] as number;
            if (pixel !== last) {
              runs.push(open);
              open = 0;
              last = pixel;
            }
            open++;
          }
        assert.deepEqual([...expandRuns(rle)], [...runs, open]);
      }
      assert.deepEqual(await encodeMasks(packBits(masks), width), rles);
      if (count > 0) assert.deepEqual(await (await decodeMasks(rles)).read(), pixels);
    });
});

test('refuses what is no run-length encoding, with a reason', async () => {
  const refuses = (call: () => unknown, message: string) => assert.throws(call, { name: 'ArgumentError', message });
  const size = [2, 3] as [number, number];
  refuses(() => expandRuns({ size, counts: 'P' }), 'rle: counts ends within a number');
  refuses(() => expandRuns({ size, counts: ' ' }), `rle: counts has " " at 0, expected characters '0' to 'o'`);
  refuses(() => expandRuns({ size, counts: 'oooooooo' }), 'rle: counts has a number of more than 35 bits before 7');
  refuses(() => expandRuns({ size, counts: 'O' }), 'rle: counts has a run of -1, expected 0 or more');
  refuses(() => expandRuns({ size, counts: '5' }), 'rle: counts cover 5 of 6 pixels');
  refuses(() => expandRuns({ size, counts: '7' }), 'rle: counts cover more than 6 pixels');
  refuses(() => expandRuns({ size, counts: 3 } as never), 'rle: counts is number, expected a string');
  const noSize = 'rle: size is not [height, width], expected two whole numbers, 0 or more, of fewer than 2^31 - 1 pixels';
  for (const wrong of [undefined, null, 3, {}, { size: [1] }, { size: [2 ** 20, 2 ** 20], counts: '' }])
    refuses(() => expandRuns(wrong as never), noSize);
  refuses(() => rleFromRuns([1.5], size), 'rle: runs[0] is 1.5, expected a whole number, 0 or more');
  refuses(() => rleFromRuns([1, 2], size), 'rle: runs cover 3 pixels, expected 6, height * width');
  refuses(() => mergeRles([]), 'mergeRles: rles is empty, expected at least one mask');
  refuses(() => parseRleAnnotation('{'), 'rle: the annotation is no JSON');
  refuses(() => parseRleAnnotation('{"size": [1, 1]}'), 'rle: counts of the annotation is no string');
  await assert.rejects(decodeMasks([]), { name: 'ArgumentError', message: 'decodeMasks: rles is empty, expected at least one mask' });
  await assert.rejects(decodeMasks([rleFromRuns([6], [2, 3]), rleFromRuns([6], [3, 2])]), {
    name: 'ArgumentError',
    message: 'decodeMasks: a mask is [3, 2], expected [2, 3], the size of the first',
  });
  assert.throws(() => rleIou([rleFromRuns([6], [2, 3])], [rleFromRuns([6], [3, 2])]), {
    name: 'ShapeError',
    message: 'rle: a mask is [3, 2], expected [2, 3], the size of the first',
  });
});
