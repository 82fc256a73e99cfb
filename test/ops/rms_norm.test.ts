import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { add, addRmsNorm, backward, copyInto, mul, ones, rmsNorm, rowsView, type Tensor, tensor, zeros } from '../../lib';
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

const same = async (a: Tensor, b: Tensor) => {
  assert.deepEqual([a.shape, a.dtype], [b.shape, b.dtype]);
  assert.deepEqual(await a.read(), await b.read());
};

onEveryDevice('addRmsNorm', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [33], [3, 255], [2, 1, 4099], [70, 40], [3, 1288], [2, 8712], [0, 3], [3, 0]])
      test(`has the bits of add and rmsNorm on ${dtype} [${shape}]`, async () => {
        const [x, residual] = [randn(shape, 1, dtype), randn(shape, 2, dtype)];
        const weight = randn([shape[shape.length - 1] as number], 3, dtype);
        const { sum, y } = addRmsNorm(x, residual, weight, 1e-6);
        const added = add(x, residual);
        await same(sum, added);
        await same(y, rmsNorm(added, weight, 1e-6));
      });

  test('has the same bits wherever its inputs begin', async () => {
    for (const dtype of ['f32', 'bf16'] as const)
      for (const size of [256, 8704]) {
        const [x, residual, weight] = [randn([size + 1], 1, dtype), randn([size + 3], 2, dtype), randn([size], 3, dtype)];
        const [late, later] = [rowsView(x, 1, size + 1), rowsView(residual, 3, size + 3)];
        const { sum, y } = addRmsNorm(late, later, weight);
        const added = add(late, later);
        await same(sum, added);
        await same(y, rmsNorm(added, weight));
      }
  });

  test('a row has the bits that it has alone', async () => {
    const [x, residual, weight] = [randn([5, 264], 1, 'bf16'), randn([5, 264], 2, 'bf16'), randn([264], 3, 'bf16')];
    const { sum, y } = addRmsNorm(x, residual, weight);
    for (let row = 0; row < 5; row++) {
      const alone = addRmsNorm(rowsView(x, row, row + 1), rowsView(residual, row, row + 1), weight);
      await same(alone.sum, rowsView(sum, row, row + 1));
      await same(alone.y, rowsView(y, row, row + 1));
    }
  });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[33], [70, 40], [3, 1288], [2, 8712], [0, 3], [3, 0]])
      test(`gradients agree with float64 on ${dtype} [${shape}]`, async () => {
        const dim = shape[shape.length - 1] as number;
        const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
        const [x, residual, weight] = [randn(shape, 1, dtype), randn(shape, 2, dtype), randn([dim], 3, dtype)];
        const [dy, dsum] = [randn(shape, 4, dtype), randn(shape, 5, dtype)];
        x.requiresGrad = residual.requiresGrad = weight.requiresGrad = true;
        const { sum, y } = addRmsNorm(x, residual, weight, 1e-6);
        const expected = normInFloat64(await sum.read(), await dy.read(), await weight.read(), undefined, 1e-6);
        const more = await dsum.read();
        const dx = expected.dx.map((value, i) => value + (more[i] as number));
        backward(add(mul(y, dy), mul(sum, dsum)), ones(shape, dtype));
        for (const leaf of [x, residual]) await expectClose(leaf.grad as Tensor, dx, { terms: Math.max(dim, 1), scale: 10 });
        await expectClose(weight.grad as Tensor, expected.dweight, { terms: Math.max(rows, 1), scale: 10 });
        for (const leaf of [x, residual, weight]) leaf.grad?.dispose();
      });

  test('gradient agrees with central differences', async () => {
    const both = (x: Tensor, residual: Tensor, weight: Tensor) => {
      const { sum, y } = addRmsNorm(x, residual, weight);
      return add(sum, y);
    };
    await expectGradient(both, [3, 5], [3, 5], [5]);
    await expectGradient((x, weight) => both(x, x, weight), [3, 5], [5]);
    await expectGradient((x, residual, weight) => addRmsNorm(x, residual, weight).y, [3, 5], [3, 5], [5]);
  });

  test('gradient of the sum alone is handed on', async () => {
    const [x, residual, weight, dsum] = [randn([2, 5], 1), randn([2, 5], 2), randn([5], 3), randn([2, 5], 4)];
    x.requiresGrad = residual.requiresGrad = weight.requiresGrad = true;
    backward(addRmsNorm(x, residual, weight).sum, dsum);
    await same(x.grad as Tensor, dsum);
    await same(residual.grad as Tensor, dsum);
    assert.deepEqual([...(await (weight.grad as Tensor).read())], [0, 0, 0, 0, 0]);
    for (const leaf of [x, residual, weight]) leaf.grad?.dispose();
  });

  test('makes only the gradient that is asked for', async () => {
    const [x, residual, weight] = [randn([3, 5], 1), randn([3, 5], 2), randn([5], 3)];
    residual.requiresGrad = true;
    backward(addRmsNorm(x, residual, weight).y, randn([3, 5], 4));
    assert.equal(x.grad ?? weight.grad, undefined);
    assert.equal((await (residual.grad as Tensor).read()).length, 15);
    residual.grad?.dispose();
  });

  test('leaves do not share the memory of their gradient', async () => {
    const [x, residual, weight] = [randn([3, 5], 1), randn([3, 5], 2), randn([5], 3)];
    x.requiresGrad = residual.requiresGrad = true;
    backward(addRmsNorm(x, residual, weight).y, randn([3, 5], 4));
    const before = await (residual.grad as Tensor).read();
    copyInto(zeros([3, 5]), x.grad as Tensor);
    assert.deepEqual(await (residual.grad as Tensor).read(), before);
    for (const leaf of [x, residual]) leaf.grad?.dispose();
  });

  test('names the argument that does not fit', () => {
    const [x, weight] = [randn([2, 4], 1), randn([4], 2)];
    assert.throws(() => addRmsNorm(x, randn([4], 1), weight), {
      name: 'ShapeError',
      message: 'addRmsNorm: residual is [4], expected [2, 4], the shape of x',
    });
    assert.throws(() => addRmsNorm(x, randn([2, 4], 1, 'bf16'), weight), {
      name: 'DtypeError',
      message: 'addRmsNorm: residual is bf16, expected f32, the dtype of x',
    });
    assert.throws(() => addRmsNorm(x, x, randn([5], 1)), {
      name: 'ShapeError',
      message: 'addRmsNorm: weight is [5], expected [4], the last size of x',
    });
    assert.throws(() => addRmsNorm(x, x, weight, 0), {
      name: 'ArgumentError',
      message: 'addRmsNorm: eps is 0, expected a finite number above 0',
    });
  });
});
