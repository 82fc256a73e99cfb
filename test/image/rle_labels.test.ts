/** Masks of a picture of labels. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { rleArea } from '../../lib/image/rle';
import { rlesOfLabels } from '../../lib/image/rle_labels';
import { rlePixels } from '../../lib/image/rle_pixels';
import { turnsDuring } from '../support/turns';

describe('rlesOfLabels', () => {
  test('has each pixel in the mask of its label, whatever the picture', async () => {
    const side = fc.integer({ min: 1, max: 7 });
    const pictures = fc.tuple(side, side).chain(([height, width]) =>
      fc.record({
        size: fc.constant([height, width] as const),
        labels: fc.array(fc.nat(4), { minLength: height * width, maxLength: height * width }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(pictures, async ({ size, labels }) => {
        const rles = await rlesOfLabels(labels, size, 4);
        assert.equal(rles.length, 4);
        for (const [label, rle] of rles.entries()) {
          const expected = labels.map((one) => Number(one === label));
          assert.deepEqual([...(rlePixels(rle) ?? new Uint8Array(labels.length))], expected);
        }
      }),
    );
  });

  test('knows a label without a pixel, and pixels of no label', async () => {
    assert.deepEqual((await rlesOfLabels([9, 9, 9, 9], [2, 2], 2)).map(rleArea), [0, 0]);
  });

  test('lets other JavaScript run in between', async () => {
    const [height, width] = [1000, 1200];
    const labels = Uint16Array.from({ length: height * width }, (_, i) => i % 3);
    assert.ok((await turnsDuring(() => rlesOfLabels(labels, [height, width], 3))) > 20);
  });
});
