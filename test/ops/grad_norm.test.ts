import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { gradNorm, tensor } from '../../lib';
import { epsilon } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('gradNorm', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    test(`agrees with float64 on ${dtype}`, async () => {
      const grads = [[3, 255], [1], [70001], [0, 2], []].map((shape, i) => randn(shape, i, dtype));
      let squares = 0;
      for (const grad of grads) for (const value of await grad.read()) squares += value * value;
      const norm = await gradNorm(grads).item();
      assert.ok(Math.abs(norm - Math.sqrt(squares)) <= epsilon.f32 * norm, `${norm}, expected ${Math.sqrt(squares)}`);
    });

  test('neither overflows nor loses small gradients', async () => {
    assert.equal(await gradNorm([tensor([3e30, 4e30])]).item(), Math.fround(5e30));
    assert.equal(await gradNorm([tensor([3e-30]), tensor([4e-30])]).item(), Math.fround(5e-30));
  });

  test('tells what is not finite, and is 0 of nothing', async () => {
    assert.equal(await gradNorm([tensor([1, Number.NaN])]).item(), Number.NaN);
    assert.equal(await gradNorm([tensor([1]), tensor([Number.NEGATIVE_INFINITY])]).item(), Number.POSITIVE_INFINITY);
    assert.equal(await gradNorm([]).item(), 0);
  });

  test('names the dtype that does not fit', () =>
    assert.throws(() => gradNorm([randn([1], 1), tensor([1], [1], 'i32')]), {
      name: 'DtypeError',
      message: 'gradNorm: grads[1] is i32, expected f32, bf16 or f16',
    }));
});
