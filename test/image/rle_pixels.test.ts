import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import fc from 'fast-check';
import { rleFromRuns } from '../../lib/image/rle';
import { rlePixels } from '../../lib/image/rle_pixels';

const side = fc.integer({ min: 1, max: 9 });

test('pixels are those of the runs down the columns', () =>
  fc.assert(
    fc.property(side, side, fc.infiniteStream(fc.boolean()), (height, width, bits) => {
      const columns = Array.from({ length: height * width }, () => Number(bits.next().value));
      const runs = [0];
      for (const [i, bit] of columns.entries()) {
        if (bit !== (i === 0 ? 0 : columns[i - 1])) runs.push(0);
        (runs[runs.length - 1] as number) += 1;
      }
      const pixels = rlePixels(rleFromRuns(runs, [height, width]));
      const expected = columns.map((_, i) => columns[(i % width) * height + Math.floor(i / width)]);
      assert.deepEqual([...(pixels ?? new Uint8Array(height * width))], expected);
      assert.equal(pixels === undefined, !columns.includes(1));
    }),
  ));

test('runs of nothing between are no pixels', () => {
  assert.deepEqual([...(rlePixels(rleFromRuns([0, 1, 0, 2, 0, 0, 3], [2, 3])) as Uint8Array)], [1, 1, 0, 1, 0, 0]);
  assert.equal(rlePixels(rleFromRuns([6], [2, 3])), undefined);
  assert.equal(rlePixels(rleFromRuns([], [0, 3])), undefined);
});

test('a malformed mask is refused', () => assert.throws(() => rlePixels({ size: [2, 3], counts: '1' }), /rle: counts cover 1 of 6 pixels/));
