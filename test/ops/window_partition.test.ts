import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, ones, reshape, slice, tensor, windowPartition, windowUnpartition } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

/** Where each value of the windows comes from, -1 in the padding. */
function sources(batch: number, height: number, width: number, dim: number, window: number): number[] {
  const from: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let top = 0; top < height; top += window)
      for (let left = 0; left < width; left += window)
        for (let row = top; row < top + window; row++)
          for (let column = left; column < left + window; column++)
            for (let d = 0; d < dim; d++) from.push(row < height && column < width ? ((b * height + row) * width + column) * dim + d : -1);
  return from;
}

onEveryDevice('windowPartition', () => {
  for (const dtype of ['f32', 'bf16', 'f16', 'i32', 'u8'] as const)
    for (const [batch, height, width, dim, window] of [
      [2, 5, 7, 3, 3],
      [1, 8, 4, 16, 4],
      [1, 2, 3, 1, 5],
      [3, 1, 1, 2, 1],
      [1, 64, 64, 5, 14],
    ] as const)
      test(`cuts and puts back ${dtype} [${[batch, height, width, dim]}], window ${window}`, async () => {
        const count = batch * height * width * dim;
        const x =
          dtype === 'i32' || dtype === 'u8'
            ? tensor(
                Array.from({ length: count }, (_, i) => i % 251),
                [batch, height, width, dim],
                dtype,
              )
            : randn([batch, height, width, dim], 1, dtype);
        const values = await x.read();
        const windows = windowPartition(x, window);
        assert.deepEqual(windows.shape, [batch * Math.ceil(height / window) * Math.ceil(width / window), window, window, dim]);
        const from = sources(batch, height, width, dim, window);
        const expected = from.map((place) => (place < 0 ? 0 : (values[place] as number)));
        assert.deepEqual([...(await windows.read())], expected);
        const padding = reshape(slice(reshape(x, [count / dim, dim]), 0, 0, 1), [dim]);
        const padded = from.map((place, i) => values[place < 0 ? i % dim : place] as number);
        assert.deepEqual([...(await windowPartition(x, window, padding).read())], padded);
        const back = windowUnpartition(windows, height, width);
        assert.deepEqual(back.shape, x.shape);
        assert.deepEqual(await back.read(), values);
      });

  test('gradients agree with central differences', async () => {
    await expectGradient((x) => windowPartition(x, 2), [2, 3, 5, 2]);
    await expectGradient((x, padding) => windowPartition(x, 2, padding), [2, 3, 5, 2], [2]);
    await expectGradient((x) => windowUnpartition(x, 3, 5), [12, 2, 2, 2]);
  });

  test('makes only the gradient that is asked for', async () => {
    const [x, padding] = [randn([1, 3, 5, 2], 1), randn([2], 2)];
    padding.requiresGrad = true;
    backward(windowPartition(x, 2, padding), ones([6, 2, 2, 2]));
    assert.equal(x.grad, undefined);
    assert.deepEqual([...(await padding.grad!.read())], [9, 9]); // of 24 tokens 15 are the map's
    padding.grad = undefined;
    backward(windowPartition(x, 1, padding), ones([15, 1, 1, 2]));
    assert.deepEqual([...(await padding.grad!.read())], [0, 0]);
  });

  test('does nothing where there is nothing', async () => {
    assert.deepEqual(windowPartition(randn([0, 5, 4, 3], 1), 2).shape, [0, 2, 2, 3]);
    assert.equal((await windowPartition(randn([1, 0, 4, 3], 1), 2).read()).length, 0);
    assert.equal((await windowPartition(randn([1, 3, 4, 0], 1), 2).read()).length, 0);
    assert.equal((await windowUnpartition(randn([0, 2, 2, 3], 1), 3, 3).read()).length, 0);
    assert.equal((await windowUnpartition(randn([4, 2, 2, 0], 1), 3, 3).read()).length, 0);
  });

  const messages: [string, string, () => unknown][] = [
    ['ShapeError', 'windowPartition: x is [4], expected [batch, height, width, dim]', () => windowPartition(randn([4], 1), 2)],
    [
      'DtypeError',
      'windowPartition: padding is bf16, expected f32, the dtype of x',
      () => windowPartition(randn([1, 2, 2, 1], 1), 2, randn([1], 1, 'bf16')),
    ],
    [
      'ShapeError',
      'windowPartition: padding is [2], expected [1], the last size of x',
      () => windowPartition(randn([1, 2, 2, 1], 1), 2, randn([2], 1)),
    ],
    ['ArgumentError', 'windowPartition: window is 0, expected at least 1', () => windowPartition(randn([1, 2, 2, 1], 1), 0)],
    ['ShapeError', 'windowUnpartition: x is [4], expected [windows, window, window, dim]', () => windowUnpartition(randn([4], 1), 2, 2)],
    [
      'ShapeError',
      'windowUnpartition: x is [1, 2, 3, 1], expected 2 along axis 2, as windows are square',
      () => windowUnpartition(randn([1, 2, 3, 1], 1), 2, 2),
    ],
    ['ArgumentError', 'windowUnpartition: window is 0, expected at least 1', () => windowUnpartition(randn([1, 0, 0, 1], 1), 2, 2)],
    ['ArgumentError', 'windowUnpartition: height is 0, expected at least 1', () => windowUnpartition(randn([1, 2, 2, 1], 1), 0, 2)],
    ['ArgumentError', 'windowUnpartition: width is 0, expected at least 1', () => windowUnpartition(randn([1, 2, 2, 1], 1), 2, 0)],
    [
      'ArgumentError',
      'windowUnpartition: x is [3, 2, 2, 1], expected a multiple of 4 windows, as many as a map has',
      () => windowUnpartition(randn([3, 2, 2, 1], 1), 3, 3),
    ],
  ];
  for (const [name, message, body] of messages) test(message, () => assert.throws(body, { name, message }));
});
