import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, gelu, ones, type Tensor, tensor } from '../../lib';
import { expectClose, inFloat64 } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { erf } from '../support/erf';
import { expectGradient } from '../support/gradient';
import { expectSameInHalves } from '../support/parts';

const formula = (x: number) => (x / 2) * (1 + erf(x / Math.SQRT2));
const slope = (x: number) => (1 + erf(x / Math.SQRT2)) / 2 + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);

onEveryDevice('gelu', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [3, 255], [2, 1, 4099], [3, 20011], [0, 3]])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const [x, dy] = [randn(shape, 1, dtype), randn(shape, 2, dtype)];
        x.requiresGrad = true;
        const y = gelu(x);
        await expectClose(y, await inFloat64(formula, x), { terms: 1 });
        backward(y, dy);
        await expectClose(x.grad as Tensor, await inFloat64((value, upstream) => upstream * slope(value), x, dy), { terms: 1 });
        x.grad?.dispose();
      });

  test('agrees with float64 from -40 to 40', async () => {
    const x = tensor(Float32Array.from({ length: 80001 }, (_, i) => (i - 40000) / 1000));
    x.requiresGrad = true;
    const y = gelu(x);
    await expectClose(y, await inFloat64(formula, x), { terms: 1, scale: 1 });
    backward(y, ones([80001]));
    await expectClose(x.grad as Tensor, await inFloat64(slope, x), { terms: 1, scale: 1 });
    x.grad?.dispose();
  });

  for (const dtype of ['f32', 'bf16'] as const)
    test(`of more ${dtype} than the caches hold is that of its parts`, () => expectSameInHalves(gelu, dtype));

  test('hands NaN and infinity on', async () => {
    const y = await gelu(tensor([Number.NaN, Number.POSITIVE_INFINITY])).read();
    assert.ok(Number.isNaN(y[0]));
    assert.equal(y[1], Number.POSITIVE_INFINITY);
    const x = tensor([Number.NaN]);
    x.requiresGrad = true;
    backward(gelu(x));
    assert.ok(Number.isNaN(await (x.grad as Tensor).item()));
    x.grad?.dispose();
  });

  test('gradient agrees with central differences', () => expectGradient(gelu, [2, 5]));

  test('names the dtype that does not fit', () =>
    assert.throws(() => gelu(tensor([1], [1], 'i32')), { name: 'DtypeError', message: 'gelu: x is i32, expected f32, bf16 or f16' }));
});
