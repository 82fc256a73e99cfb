import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, layerNorm, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { normInFloat64 } from '../support/norm';

onEveryDevice('layerNorm', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[33], [3, 255], [2, 1, 4099], [70, 40], [3, 1288], [2, 8712], [0, 3], [3, 0]])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const dim = shape[shape.length - 1] as number;
        const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
        const [x, weight, bias, dy] = [randn(shape, 1, dtype), randn([dim], 2, dtype), randn([dim], 4, dtype), randn(shape, 3, dtype)];
        for (const leaf of [x, weight, bias]) leaf.requiresGrad = true;
        const y = layerNorm(x, weight, bias, 1e-6);
        const expected = normInFloat64(await x.read(), await dy.read(), await weight.read(), await bias.read(), 1e-6);
        await expectClose(y, expected.y, { terms: Math.max(dim, 1) });
        backward(y, dy);
        await expectClose(x.grad as Tensor, expected.dx, { terms: Math.max(dim, 1), scale: 10 });
        await expectClose(weight.grad as Tensor, expected.dweight, { terms: Math.max(rows, 1), scale: 10 });
        await expectClose(bias.grad as Tensor, expected.dbias, { terms: Math.max(rows, 1), scale: 10 });
        for (const leaf of [x, weight, bias]) leaf.grad?.dispose();
      });

  test('loses no digits to a mean far from 0', async () => {
    const centred = await randn([4, 48], 1).read();
    const values = Float32Array.from(centred, (value) => Math.round(value * 64) / 64 + 1000);
    const [weight, bias] = [randn([48], 2), randn([48], 3)];
    const expected = normInFloat64(values, values, await weight.read(), await bias.read(), 1e-5);
    await expectClose(layerNorm(tensor(values, [4, 48]), weight, bias), expected.y, { terms: 48, scale: 1000 ** 0.5 });
  });

  test('gradient agrees with central differences', () => expectGradient((x, weight, bias) => layerNorm(x, weight, bias), [3, 5], [5], [5]));

  test('names the argument that does not fit', () => {
    const [x, weight] = [randn([2, 4], 1), randn([4], 1)];
    assert.throws(() => layerNorm(tensor([1], [1], 'i32'), weight, weight), {
      name: 'DtypeError',
      message: 'layerNorm: x is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => layerNorm(randn([], 1), weight, weight), {
      name: 'ShapeError',
      message: 'layerNorm: x is [], expected at least 1 axis',
    });
    assert.throws(() => layerNorm(x, randn([5], 1), weight), {
      name: 'ShapeError',
      message: 'layerNorm: weight is [5], expected [4], the last size of x',
    });
    assert.throws(() => layerNorm(x, randn([4], 1, 'bf16'), weight), {
      name: 'DtypeError',
      message: 'layerNorm: weight is bf16, expected f32, the dtype of x',
    });
    assert.throws(() => layerNorm(x, weight, randn([3], 1)), {
      name: 'ShapeError',
      message: 'layerNorm: bias is [3], expected [4], the shape of weight',
    });
    assert.throws(() => layerNorm(x, weight, randn([4], 1, 'f16')), {
      name: 'DtypeError',
      message: 'layerNorm: bias is f16, expected f32, the dtype of weight',
    });
    assert.throws(() => layerNorm(x, weight, weight, 0), {
      name: 'ArgumentError',
      message: 'layerNorm: eps is 0, expected a finite number above 0',
    });
  });
});
