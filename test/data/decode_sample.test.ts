/** What is wrong with a picture and its masks, and what finding it costs. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type DecodeResult, decodeSample } from '../../lib/data/decode_sample';
import { rleFromRuns } from '../../lib/image/rle';

test('masks of a picture that cannot be read are looked at without making their pixels', async () => {
  const side = 20_000;
  const size = [side, side] as const;
  const good = rleFromRuns([5, 1, side * side - 6], size);
  const masks = [good, rleFromRuns([side * side], size), { size, counts: 'zz' }, good];
  const before = process.memoryUsage().arrayBuffers;
  let most = before;
  let result: DecodeResult | undefined;
  const decoding = decodeSample({ image: '/nowhere.png', masks }).then((decoded) => {
    result = decoded;
  });
  while (result === undefined) {
    await new Promise(setImmediate);
    most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  await decoding;
  assert.ok('faults' in result);
  assert.deepEqual(
    result.faults.map(({ problem, field }) => [problem, field]),
    [
      ['missing_image', 'image'],
      ['empty_mask', 'masks[1]'],
      ['rle', 'masks[2]'],
    ],
  );
  assert.ok(most - before < side * side, `${most - before} bytes`);
});
