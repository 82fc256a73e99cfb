// What it decodes: test/image/rle.test.ts.
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { rleDecode, tensor } from '../../lib';
import { onEveryDevice } from '../support/devices';

onEveryDevice('rleDecode', () => {
  const decode = (runs: number[], counts: number[], height = 2, width = 2) =>
    rleDecode(tensor(runs, [runs.length], 'i32'), tensor(counts, [counts.length], 'i32'), { height, width });

  test('takes no masks, and masks without pixels', async () => {
    assert.deepEqual([...decode([], []).shape], [0, 2, 2]);
    assert.deepEqual([...decode([0, 0], [1, 1], 0, 3).shape], [2, 0, 3]);
    assert.equal((await decode([], [0], 3, 0).read()).length, 0);
  });

  test('runs of 0 change nothing', async () => assert.deepEqual([...(await decode([1, 0, 0, 1, 0, 0, 2], [7]).read())], [0, 0, 1, 0]));

  test('refuses runs that do not cover the image', async () => {
    const refuses = (runs: number[], counts: number[], message: string) =>
      assert.rejects(decode(runs, counts).read(), { name: 'ArgumentError', message: `rleDecode: ${message}` });
    await refuses([4], [-1], 'counts[0] is -1, expected 0 or more');
    await refuses([4, 4], [1, 2], 'counts[1] is 2, expected at most 1, the runs that are left');
    await refuses([5, -1], [2], 'runs[1] is -1, expected 0 or more');
    await refuses([4, 1, 2], [1, 2], 'runs of mask 1 cover 3 pixels, expected 4, height * width');
    await refuses([4, 4], [1], 'counts add up to 1, expected 2, the size of runs');
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `rleDecode: ${message}` });
    const some = tensor([1], [1], 'i32');
    const size = { height: 1, width: 1 };
    refuses(() => rleDecode(tensor([1]), some, size), 'DtypeError', 'runs is f32, expected i32');
    refuses(() => rleDecode(some, tensor([1]), size), 'DtypeError', 'counts is f32, expected i32');
    refuses(() => rleDecode(tensor([1], [], 'i32'), some, size), 'ShapeError', 'runs is [], expected [total]');
    refuses(() => rleDecode(some, tensor([1], [1, 1], 'i32'), size), 'ShapeError', 'counts is [1, 1], expected [n]');
    refuses(() => rleDecode(some, some, { height: -1, width: 1 }), 'ArgumentError', 'height is -1, expected 0 to 2^31 - 1');
    refuses(() => rleDecode(some, some, { height: 1, width: 2 ** 31 }), 'ArgumentError', 'width is 2147483648, expected 0 to 2^31 - 1');
    const large = 'height * width is 65536 * 32768, expected fewer than 2^31 - 1 pixels';
    refuses(() => rleDecode(some, some, { height: 65536, width: 32768 }), 'ArgumentError', large);
  });
});
