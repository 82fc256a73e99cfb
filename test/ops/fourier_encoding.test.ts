import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { fourierEncoding, tensor } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { countOf, randn, rounded, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('fourierEncoding', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [shape, features] of [
      [[2], 1],
      [[3, 5, 2], 7],
      [[4099, 2], 3],
      [[2, 2], 0],
      [[0, 2], 4],
    ] as [number[], number][])
      test(`agrees with float64 on ${dtype} [${shape}], ${features} features`, async () => {
        const next = uniform(1);
        const points = rounded(
          Float32Array.from({ length: countOf(shape) }, () => next()),
          shape,
          dtype,
        );
        const gaussian = randn([2, features], 2, dtype);
        const y = fourierEncoding(points, gaussian);
        assert.deepEqual([...y.shape], [...shape.slice(0, -1), 2 * features]);
        const [p, g] = [await points.read(), await gaussian.read()];
        let turnsAtMost = 1;
        const expected = Float64Array.from({ length: y.count }, (_, i) => {
          const [point, feature] = [Math.floor(i / (2 * features)), i % features];
          const turns =
            (2 * (p[2 * point] as number) - 1) * (g[feature] as number) +
            (2 * (p[2 * point + 1] as number) - 1) * (g[features + feature] as number);
          turnsAtMost = Math.max(turnsAtMost, Math.abs(turns));
          return (i % (2 * features) < features ? Math.sin : Math.cos)(2 * Math.PI * turns);
        });
        // Four roundings of the turns, each by half an ulp of them, times 2 pi; one rounding of the result.
        const turnError = 4 * Math.PI * epsilon.f32 * 2 * turnsAtMost;
        assertWithin(await y.read(), expected, (wanted) => turnError + epsilon[dtype] * Math.abs(wanted), y);
      });

  test('has no gradient', () => {
    const gaussian = randn([2, 3], 1);
    gaussian.requiresGrad = true;
    assert.throws(() => fourierEncoding(randn([2], 1), gaussian), { name: 'GradientError' });
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) =>
      assert.throws(call, { name, message: `fourierEncoding: ${message}` });
    const gaussian = randn([2, 3], 1);
    refuses(() => fourierEncoding(tensor([1, 2], [2], 'i32'), gaussian), 'DtypeError', 'points is i32, expected f32, bf16 or f16');
    refuses(() => fourierEncoding(tensor([1], []), gaussian), 'ShapeError', 'points is [], expected at least 1 axis');
    refuses(() => fourierEncoding(randn([3], 1), gaussian), 'ShapeError', 'points is [3], expected 2 along axis 0, x and y');
    refuses(() => fourierEncoding(randn([2], 1), randn([2], 1)), 'ShapeError', 'gaussian is [2], expected [2, features]');
    refuses(() => fourierEncoding(randn([2], 1), randn([3, 3], 1)), 'ShapeError', 'gaussian is [3, 3], expected 2 along axis 0, x and y');
    refuses(
      () => fourierEncoding(randn([2], 1), randn([2, 3], 1, 'f16')),
      'DtypeError',
      'gaussian is f16, expected f32, the dtype of points',
    );
  });
});
