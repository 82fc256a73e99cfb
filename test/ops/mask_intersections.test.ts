import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { maskIntersections, tensor } from '../../lib';
import { countOf, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('maskIntersections', () => {
  for (const [n, m, mask, share] of [
    [1, 1, [8], 0.5],
    [3, 5, [7, 8], 0.3],
    [4, 2, [33, 24], 0.02],
    [5, 7, [64], 0.9],
    [2, 3, [9000], 0.001],
    [0, 3, [8], 0.5],
    [3, 0, [8], 0.5],
    [2, 2, [0], 0.5],
  ] as [number, number, number[], number][])
    test(`counts the bits ${n} and ${m} masks of [${mask}] share`, async () => {
      const next = uniform(7);
      const bytes = countOf(mask);
      const random = (masks: number) => Uint8Array.from({ length: masks * bytes }, () => (next() < share ? next() * 256 : 0));
      const [a, b] = [random(n), random(m)];
      const counts = maskIntersections(tensor(a, [n, ...mask]), tensor(b, [m, ...mask]));
      assert.deepEqual([...counts.shape], [n, m]);
      const expected = Int32Array.from({ length: n * m }, (_, pair) => {
        let count = 0;
        for (let k = 0; k < bytes; k++) {
          let both = (a[Math.floor(pair / m) * bytes + k] as number) & (b[(pair % m) * bytes + k] as number);
          for (; both; both &= both - 1) count++;
        }
        return count;
      });
      assert.deepEqual(await counts.read(), expected);
    });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) =>
      assert.throws(call, { name, message: `maskIntersections: ${message}` });
    const bits = (shape: number[]) => tensor(new Uint8Array(countOf(shape)), shape);
    refuses(() => maskIntersections(tensor([1], [1, 1]), bits([1, 8])), 'DtypeError', 'a is f32, expected u8');
    refuses(() => maskIntersections(bits([1, 8]), tensor([1], [1, 1])), 'DtypeError', 'b is f32, expected u8');
    refuses(() => maskIntersections(bits([8]), bits([1, 8])), 'ShapeError', 'a is [8], expected at least 2 axes');
    const sevenBytes = 'a is [1, 7], expected a multiple of 8 bytes along the last axis';
    refuses(() => maskIntersections(bits([1, 7]), bits([1, 7])), 'ShapeError', sevenBytes);
    const other = 'b is [3, 16], expected [3, 8], the shape of a but for the number of masks';
    refuses(() => maskIntersections(bits([2, 8]), bits([3, 16])), 'ShapeError', other);
    const large = [0, 2 ** 28];
    refuses(
      () => maskIntersections(bits(large), bits(large)),
      'ShapeError',
      'a is [0, 268435456], expected masks of fewer than 2^31 pixels',
    );
  });
});
