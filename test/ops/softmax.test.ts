import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, rowsView, softmax, type Tensor, tensor } from '../../lib';
import { epsilon, expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { expectSameInHalves } from '../support/parts';

function inFloat64(x: ArrayLike<number>, size: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += size) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = start; i < start + size; i++) largest = Math.max(largest, x[i] as number);
    let total = 0;
    for (let i = start; i < start + size; i++) total += Math.exp((x[i] as number) - largest);
    for (let i = start; i < start + size; i++) y[i] = Math.exp((x[i] as number) - largest) / total;
  }
  return y;
}

onEveryDevice('softmax', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1],
      [7],
      [3, 255],
      [2, 1, 4099],
      [70, 33],
      [5, 16],
      [37, 1],
      [53, 6],
      [601, 6],
      [259, 8],
      [33, 16],
      [34, 17],
      [0, 3],
      [3, 0],
    ])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const size = shape[shape.length - 1] as number;
        const [x, dy] = [randn(shape, 1, dtype), randn(shape, 2, dtype)];
        x.requiresGrad = true;
        const y = softmax(x);
        await expectClose(y, inFloat64(await x.read(), size), { terms: Math.max(size, 1), scale: 1 });
        backward(y, dy);
        const [probabilities, upstream] = [await y.read(), await dy.read()];
        const expected = Float64Array.from(probabilities, (p, i) => {
          const start = i - (i % size);
          let along = 0;
          for (let j = start; j < start + size; j++) along += (upstream[j] as number) * (probabilities[j] as number);
          return p * ((upstream[i] as number) - along);
        });
        await expectClose(x.grad as Tensor, expected, { terms: Math.max(size, 1), scale: 1 });
        x.grad?.dispose();
      });

  test('of large numbers does not overflow', async () => {
    const y = await softmax(tensor([1e30, 1e30, -1e30, Number.NEGATIVE_INFINITY], [1, 4])).read();
    assert.ok(Math.abs((y[0] as number) - 0.5) <= epsilon.f32);
    assert.deepEqual([...y.slice(2)], [0, 0]);
  });

  test('of rising and of falling numbers, from a place that nothing is aligned to', async () => {
    const size = 4101;
    const values = Float32Array.from({ length: 3 * size }, (_, i) => (i < 2 * size ? i % size : size - (i % size)) / 64);
    const x = rowsView(tensor(values, [3, size]), 1, 3);
    await expectClose(softmax(x), inFloat64(values.slice(size), size), { terms: size, scale: 1 });
  });

  test('takes short rows that begin anywhere', async () => {
    const values = Float32Array.from({ length: 31 * 6 }, (_, i) => ((i * 7) % 64) / 16);
    await expectClose(softmax(rowsView(tensor(values, [31, 6]), 1, 31)), inFloat64(values.slice(6), 6), { terms: 6, scale: 1 });
  });

  test('gradient agrees with central differences', () => expectGradient(softmax, [3, 5]));

  for (const dtype of ['f32', 'bf16'] as const)
    test(`of more ${dtype} than the caches hold is that of its parts`, () => expectSameInHalves(softmax, dtype));

  test('names the argument that does not fit', () => {
    assert.throws(() => softmax(tensor([1], [1], 'i32')), { name: 'DtypeError', message: 'softmax: x is i32, expected f32, bf16 or f16' });
    assert.throws(() => softmax(randn([], 1)), { name: 'ShapeError', message: 'softmax: x is [], expected at least 1 axis' });
  });
});
