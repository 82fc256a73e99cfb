// What it encodes: test/image/rle.test.ts.
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { rleEncode, tensor } from '../../lib';
import { onEveryDevice } from '../support/devices';

onEveryDevice('rleEncode', () => {
  test('counts the runs that have no room, and fills up room that has no run', async () => {
    const masks = tensor([0, 1, 1, 0, 9, 0, 0, 0], [2, 2, 2], 'u8');
    const { runs, counts } = rleEncode(masks, { maxRuns: 3 });
    assert.deepEqual([...(await counts.read())], [3, 3]);
    assert.deepEqual([...(await runs.read())], [1, 2, 1, 0, 1, 3]);
    const few = rleEncode(masks, { maxRuns: 1 });
    assert.deepEqual([...(await few.counts.read())], [3, 3]);
    assert.deepEqual([...(await few.runs.read())], [1, 0]);
    const many = rleEncode(masks, { maxRuns: 5 });
    assert.deepEqual([...(await many.runs.read())], [1, 2, 1, 0, 0, 0, 1, 3, 0, 0]);
  });

  test('a mask without pixels has one run of 0', async () => {
    const { runs, counts } = rleEncode(tensor([], [2, 0, 3], 'u8'), { maxRuns: 1 });
    assert.deepEqual([...(await runs.read()), ...(await counts.read())], [0, 0, 1, 1]);
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `rleEncode: ${message}` });
    const masks = tensor([1], [1, 1, 1], 'u8');
    refuses(() => rleEncode(tensor([1], [1, 1, 1]), { maxRuns: 1 }), 'DtypeError', 'masks is f32, expected u8');
    refuses(() => rleEncode(tensor([1], [1, 1], 'u8'), { maxRuns: 1 }), 'ShapeError', 'masks is [1, 1], expected [n, height, width]');
    refuses(() => rleEncode(masks, { maxRuns: -1 }), 'ArgumentError', 'maxRuns is -1, expected 0 to 2^31 - 1');
    refuses(() => rleEncode(masks, { maxRuns: 1, bitWidth: -1 }), 'ArgumentError', 'bitWidth is -1, expected 0 to 2^31 - 1');
    const bytes = 'masks is [1, 1, 1], expected 8 along axis 2, the bytes of a row of bitWidth pixels';
    refuses(() => rleEncode(masks, { maxRuns: 1, bitWidth: 3 }), 'ShapeError', bytes);
    const large = 'masks is [0, 65536, 32768], expected fewer than 2^31 - 1 pixels a mask';
    refuses(() => rleEncode(tensor([], [0, 65536, 32768], 'u8'), { maxRuns: 1 }), 'ShapeError', large);
  });
});
