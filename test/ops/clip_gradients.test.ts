import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { clipGradients, gradNorm, type Tensor, tensor } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('clipGradients', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const maxNorm of [0.5, 1000])
      test(`scales ${dtype} to norm ${maxNorm} at most`, async () => {
        const grads = [[3, 255], [1], [70001], [0, 2], []].map((shape, i) => randn(shape, i, dtype));
        const before = await Promise.all(grads.map((grad) => grad.read()));
        const norm = gradNorm(grads);
        clipGradients(grads, norm, { maxNorm });
        const coefficient = Math.min(1, maxNorm / ((await norm.item()) + 1e-6));
        for (const [i, grad] of grads.entries()) {
          const wanted = Float64Array.from(before[i] as Float32Array, (value) => value * coefficient);
          // Below 2^-14 the steps of f16 are 2^-24 wide.
          const step = dtype === 'f16' ? 2 ** -24 : 0;
          assertWithin(await grad.read(), wanted, (value) => (epsilon[dtype] + 2 * epsilon.f32) * Math.abs(value) + step, grad);
        }
      });

  test('a NaN norm makes every gradient NaN, an infinite one 0', async () => {
    const clipped = async (norm: number) => {
      const grad: Tensor = tensor([1, -2]);
      clipGradients([grad], tensor([norm], []));
      return [...(await grad.read())].map(Math.abs);
    };
    assert.deepEqual(await clipped(Number.NaN), [Number.NaN, Number.NaN]);
    assert.deepEqual(await clipped(Number.POSITIVE_INFINITY), [0, 0]);
  });

  test('names the argument that does not fit', () => {
    const norm = tensor([1], []);
    const throws = (body: () => unknown, name: string, message: string) =>
      assert.throws(body, { name, message: `clipGradients: ${message}` });
    throws(() => clipGradients([tensor([1], [1], 'i32')], norm), 'DtypeError', 'grads[0] is i32, expected f32, bf16 or f16');
    const twice = tensor([1]);
    throws(() => clipGradients([twice, twice], norm), 'ArgumentError', 'grads[1] is in the memory of grads[0], expected memory of its own');
    throws(() => clipGradients([], tensor([1])), 'ShapeError', 'norm is [1], expected [], one number');
    throws(() => clipGradients([], tensor([1], [], 'i32')), 'DtypeError', 'norm is i32, expected f32');
    throws(() => clipGradients([], norm, { maxNorm: 0 }), 'ArgumentError', 'maxNorm is 0, expected a finite number above 0');
    throws(() => clipGradients([], norm, { eps: -1 }), 'ArgumentError', 'eps is -1.000000, expected a finite number from 0');
  });
});
