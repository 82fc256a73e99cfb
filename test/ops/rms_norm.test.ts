import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, rmsNorm, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { normInFloat64 } from '../support/norm';

onEveryDevice('rmsNorm', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [33], [3, 255], [2, 1, 4099], [70, 40], [3, 1288], [2, 8712], [0, 3], [3, 0]])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const dim = shape[shape.length - 1] as number;
        const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
        const [x, weight, dy] = [randn(shape, 1, dtype), randn([dim], 2, dtype), randn(shape, 3, dtype)];
        x.requiresGrad = true;
        weight.requiresGrad = true;
        const y = rmsNorm(x, weight, 1e-6);
        const expected = normInFloat64(await x.read(), await dy.read(), await weight.read(), undefined, 1e-6);
        await expectClose(y, expected.y, { terms: Math.max(dim, 1) });
        backward(y, dy);
        await expectClose(x.grad as Tensor, expected.dx, { terms: Math.max(dim, 1), scale: 10 });
        await expectClose(weight.grad as Tensor, expected.dweight, { terms: Math.max(rows, 1), scale: 10 });
        x.grad?.dispose();
        weight.grad?.dispose();
      });

  test('gradient agrees with central differences', () => expectGradient((x, weight) => rmsNorm(x, weight), [3, 5], [5]));

  test('makes only the gradient that is asked for', async () => {
    const weight = randn([5], 1);
    weight.requiresGrad = true;
    backward(rmsNorm(randn([3, 5], 2), weight), randn([3, 5], 3));
    assert.equal((await (weight.grad as Tensor).read()).length, 5);
    weight.grad?.dispose();
  });

  test('names the argument that does not fit', () => {
    const x = randn([2, 4], 1);
    assert.throws(() => rmsNorm(tensor([1], [1], 'i32'), x), {
      name: 'DtypeError',
      message: 'rmsNorm: x is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => rmsNorm(randn([], 1), x), { name: 'ShapeError', message: 'rmsNorm: x is [], expected at least 1 axis' });
    assert.throws(() => rmsNorm(x, randn([5], 1)), {
      name: 'ShapeError',
      message: 'rmsNorm: weight is [5], expected [4], the last size of x',
    });
    assert.throws(() => rmsNorm(x, randn([4], 1, 'bf16')), {
      name: 'DtypeError',
      message: 'rmsNorm: weight is bf16, expected f32, the dtype of x',
    });
    assert.throws(() => rmsNorm(x, randn([4], 1), -1), {
      name: 'ArgumentError',
      message: 'rmsNorm: eps is -1, expected a finite number above 0',
    });
  });
});
