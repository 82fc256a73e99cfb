import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, linear, pack, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { linear64, product64 } from '../support/products';

const dtypes = ['f32', 'bf16', 'f16'] as const;

onEveryDevice('linear', () => {
  // Rows, in, out: one row, a few, many; tails in every size; more panels of 64 outputs than are expanded at once;
  // inputs in several pieces, rows in several blocks, a result that goes past the caches.
  const cases = [
    [1, 1, 1],
    [1, 300, 130],
    [2, 33, 65],
    [3, 64, 64],
    [4, 17, 1100],
    [5, 33, 7],
    [13, 70, 129],
    [37, 31, 1100],
    [65, 2101, 515],
    [1030, 20, 520],
    [263, 519, 327],
    [1030, 20, 576],
  ] as const;
  for (const dtype of dtypes)
    for (const [rows, inner, out] of cases)
      test(`agrees with float64 on ${dtype} [${rows},${inner}] x [${out},${inner}], in rows and packed`, async () => {
        const [x, weight, bias] = [randn([rows, inner], 1, dtype), randn([out, inner], 2, dtype), randn([out], 3, dtype)];
        const expected = await linear64(x, weight);
        const shifts = await bias.read();
        for (const read of [weight, pack(weight)]) {
          await expectClose(linear(x, read), expected, { terms: inner });
          await expectClose(
            linear(x, read, bias),
            expected.map((value, i) => value + (shifts[i % out] as number)),
            { terms: inner + 1 },
          );
        }
      });

  test('keeps leading axes and takes a vector', async () => {
    const weight = randn([5, 6], 1);
    assert.deepEqual(linear(randn([2, 1, 3, 6], 2), weight).shape, [2, 1, 3, 5]);
    const x = randn([6], 3);
    const y = linear(x, weight);
    assert.deepEqual(y.shape, [5]);
    await expectClose(y, await linear64(x, weight), { terms: 6 });
  });

  for (const layout of ['rows', 'packed'] as const)
    test(`takes sizes of 0, weight ${layout}`, async () => {
      const made = (shape: number[]) => (layout === 'packed' ? pack(randn(shape, 1)) : randn(shape, 1));
      assert.deepEqual(linear(randn([0, 4], 1), made([3, 4])).shape, [0, 3]);
      assert.deepEqual(linear(randn([2, 4], 1), made([0, 4])).shape, [2, 0]);
      assert.deepEqual([...(await linear(randn([2, 0], 1), made([2, 0])).read())], [0, 0, 0, 0]);
      assert.deepEqual([...(await linear(randn([2, 0], 1), made([2, 0]), tensor([1, 2])).read())], [1, 2, 1, 2]);
    });

  test('gradient agrees with central differences', async () => {
    await expectGradient(linear, [3, 5], [4, 5], [4]);
    await expectGradient(linear, [2, 1, 5], [3, 5]);
    await expectGradient(linear, [5], [4, 5], [4]);
  });

  for (const dtype of dtypes)
    for (const layout of ['rows', 'packed'] as const)
      test(`gradient agrees with float64 on ${dtype}, weight ${layout}`, async () => {
        const [rows, inner, out] = [70, 37, 67];
        const [x, weight, bias, dy] = [
          randn([rows, inner], 1, dtype),
          randn([out, inner], 2, dtype),
          randn([out], 3, dtype),
          randn([rows, out], 4, dtype),
        ];
        x.requiresGrad = bias.requiresGrad = true;
        weight.requiresGrad = layout === 'rows';
        backward(linear(x, layout === 'rows' ? weight : pack(weight), bias), dy);
        const [xs, ws, dys] = [await x.read(), await weight.read(), await dy.read()];
        const dx = product64({ rows, inner: out, columns: inner }, dys, [out, 1], ws, [inner, 1]);
        await expectClose(x.grad!, dx, { terms: out });
        const ones = new Float64Array(rows).fill(1);
        await expectClose(bias.grad!, product64({ rows: out, inner: rows, columns: 1 }, dys, [1, out], ones, [1, 1]), { terms: rows });
        if (layout === 'packed') return;
        await expectClose(weight.grad!, product64({ rows: out, inner: rows, columns: inner }, dys, [1, out], xs, [inner, 1]), {
          terms: rows,
        });
      });

  test('gradient of no rows is 0', async () => {
    const [x, weight, bias] = [randn([0, 3], 1), randn([2, 3], 2), randn([2], 3)];
    x.requiresGrad = weight.requiresGrad = bias.requiresGrad = true;
    backward(linear(x, weight, bias), randn([0, 2], 4));
    assert.deepEqual([...(await weight.grad!.read())], [0, 0, 0, 0, 0, 0]);
    assert.deepEqual([...(await bias.grad!.read())], [0, 0]);
    assert.deepEqual(x.grad!.shape, [0, 3]);
  });

  test('names the argument that does not fit', () => {
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    const [x, weight] = [randn([2, 4], 1), randn([3, 4], 2)];
    refuses(() => linear(tensor([1], [1], 'i32'), weight), 'DtypeError', 'linear: x is i32, expected f32, bf16 or f16');
    refuses(() => linear(randn([], 1), weight), 'ShapeError', 'linear: x is [], expected at least 1 axis');
    refuses(() => linear(x, randn([3, 4], 1, 'bf16')), 'DtypeError', 'linear: weight is bf16, expected f32, the dtype of x');
    refuses(() => linear(x, randn([4], 1)), 'ShapeError', 'linear: weight is [4], expected [out, in]');
    refuses(() => linear(x, randn([3, 5], 1)), 'ShapeError', 'linear: weight is [3, 5], expected 4 along axis 1, the last size of x');
    refuses(() => linear(x, weight, randn([3], 1, 'f16')), 'DtypeError', 'linear: bias is f16, expected f32, the dtype of x');
    refuses(
      () => linear(x, weight, randn([4], 1)),
      'ShapeError',
      'linear: bias is [4], expected [3], an element for each output of weight',
    );
    const packed = pack(weight);
    packed.requiresGrad = true;
    const y = linear(x, packed);
    refuses(() => backward(y, randn([2, 4], 1)), 'ShapeError', 'linearBackward: dy is [2, 4], expected [2, 3], the shape of y');
    const again = linear(x, packed);
    refuses(() => backward(again, randn([2, 3], 1, 'bf16')), 'DtypeError', 'linearBackward: dy is bf16, expected f32, the dtype of x');
    const last = linear(x, packed);
    refuses(
      () => backward(last, randn([2, 3], 1)),
      'ArgumentError',
      'linearBackward: weight is packed, expected rows when its gradient is asked for',
    );
  });
});
