import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, matmul, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { product64 } from '../support/products';

const booleans = [false, true];

interface Sizes {
  stack: readonly number[];
  m: number;
  k: number;
  n: number;
  shared?: 'a' | 'b';
}

function operands({ stack, m, k, n, shared }: Sizes, transposeA: boolean, transposeB: boolean) {
  const a = [...(shared === 'a' ? [] : stack), ...(transposeA ? [k, m] : [m, k])];
  const b = [...(shared === 'b' ? [] : stack), ...(transposeB ? [n, k] : [k, n])];
  return { a, b };
}

async function matmul64({ stack, m, k, n, shared }: Sizes, a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean) {
  const [as, bs] = [await a.read(), await b.read()];
  const result = new Float64Array(countOf(stack) * m * n);
  for (let s = 0; s < countOf(stack); s++) {
    const [aFirst, bFirst] = [shared === 'a' ? 0 : s * m * k, shared === 'b' ? 0 : s * k * n];
    result.set(
      product64(
        { rows: m, inner: k, columns: n },
        as.subarray(aFirst, aFirst + m * k),
        transposeA ? [1, m] : [k, 1],
        bs.subarray(bFirst, bFirst + k * n),
        transposeB ? [1, k] : [n, 1],
      ),
      s * m * n,
    );
  }
  return result;
}

onEveryDevice('matmul', () => {
  const cases: Sizes[] = [
    { stack: [], m: 5, k: 33, n: 17 },
    { stack: [3], m: 1, k: 19, n: 70 },
    { stack: [2, 3], m: 7, k: 5, n: 3 },
    { stack: [3], m: 4, k: 9, n: 6, shared: 'a' },
    { stack: [2, 2], m: 4, k: 9, n: 6, shared: 'b' },
  ];
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const sizes of cases)
      for (const transposeA of booleans)
        for (const transposeB of booleans)
          test(`agrees with float64 on ${dtype} ${JSON.stringify({ ...sizes, transposeA, transposeB })}`, async () => {
            const shapes = operands(sizes, transposeA, transposeB);
            const [a, b] = [randn(shapes.a, 1, dtype), randn(shapes.b, 2, dtype)];
            const y = matmul(a, b, { transposeA, transposeB });
            assert.deepEqual(y.shape, [...sizes.stack, sizes.m, sizes.n]);
            await expectClose(y, await matmul64(sizes, a, b, transposeA, transposeB), { terms: sizes.k });
          });

  for (const dtype of ['f32', 'bf16'] as const)
    for (const transposeA of booleans)
      for (const transposeB of booleans)
        test(`many rows agree with float64 on ${dtype} ${JSON.stringify({ transposeA, transposeB })}, and so do sums over a stack`, async () => {
          const [stack, m, k, n] = dtype === 'f32' ? [2, 515, 519, 521] : [2, 263, 519, 327];
          const sizes: Sizes = { stack: [stack], m, k, n, shared: 'b' };
          const shapes = operands(sizes, transposeA, transposeB);
          const [a, b, dy] = [randn(shapes.a, 1, dtype), randn(shapes.b, 2, dtype), randn([stack, m, n], 3, dtype)];
          b.requiresGrad = true;
          const y = matmul(a, b, { transposeA, transposeB });
          await expectClose(y, await matmul64(sizes, a, b, transposeA, transposeB), { terms: k });
          backward(y, dy);
          const [as, dys] = [await a.read(), await dy.read()];
          const db = new Float64Array(k * n);
          for (let s = 0; s < stack; s++) {
            const [left, right] = [as.subarray(s * m * k), dys.subarray(s * m * n)];
            const part = transposeB
              ? product64({ rows: n, inner: m, columns: k }, right, [1, n], left, transposeA ? [1, m] : [k, 1])
              : product64({ rows: k, inner: m, columns: n }, left, transposeA ? [m, 1] : [1, k], right, [n, 1]);
            for (const [i, value] of part.entries()) db[i] = (db[i] as number) + value;
          }
          await expectClose(b.grad as Tensor, db, { terms: stack * m });
          b.grad?.dispose();
        });

  for (const shared of [undefined, 'a', 'b'] as const)
    for (const transposeA of booleans)
      for (const transposeB of booleans)
        test(`gradient agrees with central differences: ${JSON.stringify({ shared, transposeA, transposeB })}`, async () => {
          const { a, b } = operands({ stack: [2], m: 2, k: 3, n: 4, shared }, transposeA, transposeB);
          await expectGradient((x, y) => matmul(x, y, { transposeA, transposeB }), a, b);
        });

  test('gradients of bf16 summed over a stack are rounded once', async () => {
    const [a, b, dy] = [randn([9, 4], 1, 'bf16'), randn([40, 9, 3], 2, 'bf16'), randn([40, 4, 3], 3, 'bf16')];
    a.requiresGrad = true;
    backward(matmul(a, b, { transposeA: true }), dy);
    const [bs, dys] = [await b.read(), await dy.read()];
    const expected = new Float64Array(36);
    for (let s = 0; s < 40; s++) {
      const part = product64({ rows: 9, inner: 3, columns: 4 }, bs.subarray(s * 27), [3, 1], dys.subarray(s * 12), [1, 3]);
      for (let i = 0; i < 36; i++) expected[i] = (expected[i] as number) + (part[i] as number);
    }
    await expectClose(a.grad!, expected, { terms: 120 });
  });

  test('takes sizes of 0', async () => {
    assert.deepEqual([...(await matmul(randn([2, 0], 1), randn([0, 2], 1)).read())], [0, 0, 0, 0]);
    assert.deepEqual(matmul(randn([0, 2, 3], 1), randn([3, 4], 1)).shape, [0, 2, 4]);
    assert.deepEqual(matmul(randn([2, 0, 3], 1), randn([2, 3, 4], 1)).shape, [2, 0, 4]);
    const b = randn([3, 4], 1);
    b.requiresGrad = true;
    backward(matmul(randn([0, 2, 3], 1), b), randn([0, 2, 4], 1));
    assert.deepEqual([...(await b.grad!.read())], Array(12).fill(0));
  });

  test('names the argument that does not fit', () => {
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    const a = randn([2, 3, 4], 1);
    refuses(() => matmul(tensor([1], [1, 1], 'i32'), a), 'DtypeError', 'matmul: a is i32, expected f32, bf16 or f16');
    refuses(() => matmul(randn([4], 1), a), 'ShapeError', 'matmul: a is [4], expected at least 2 axes');
    refuses(() => matmul(a, randn([4, 4], 1, 'f16')), 'DtypeError', 'matmul: b is f16, expected f32, the dtype of a');
    refuses(() => matmul(a, randn([4], 1)), 'ShapeError', 'matmul: b is [4], expected at least 2 axes');
    refuses(() => matmul(a, randn([3, 4], 1)), 'ShapeError', 'matmul: b is [3, 4], expected 4 along axis 0, the inner size of a');
    refuses(
      () => matmul(a, randn([3, 4, 5], 1)),
      'ShapeError',
      'matmul: b is [3, 4, 5], expected [2, 4, 5], stacked as a, or a single matrix',
    );
    a.requiresGrad = true;
    const refusesBackward = (dy: Tensor, name: string, message: string) =>
      refuses(() => backward(matmul(a, randn([4, 5], 1)), dy), name, message);
    refusesBackward(randn([2, 3, 5], 1, 'bf16'), 'DtypeError', 'matmulBackward: dy is bf16, expected f32, the dtype of a');
    refusesBackward(randn([2, 3, 4], 1), 'ShapeError', 'matmulBackward: dy is [2, 3, 4], expected [2, 3, 5], the shape of y');
  });
});
