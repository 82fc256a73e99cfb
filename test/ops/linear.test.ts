import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, full, linear, ones, pack, reshape, rowsView, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { displaced, randn, rounded } from '../support/data';
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
    [9, 1160, 67],
    [13, 70, 129],
    [16, 40, 33],
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
        const residual = randn([rows, out], 4, dtype);
        const before = await residual.read();
        for (const read of [weight, pack(weight)]) {
          await expectClose(linear(x, read), expected, { terms: inner });
          await expectClose(
            linear(x, read, bias),
            expected.map((value, i) => value + (shifts[i % out] as number)),
            { terms: inner + 1 },
          );
          await expectClose(
            linear(x, read, bias, { residual }),
            expected.map((value, i) => value + (shifts[i % out] as number) + (before[i] as number)),
            { terms: inner + 2 },
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
      const residual = tensor([3, 4, 5, 6], [2, 2]);
      assert.deepEqual([...(await linear(randn([2, 0], 1), made([2, 0]), tensor([1, 2]), { residual }).read())], [4, 6, 6, 8]);
      assert.deepEqual([...(await linear(randn([2, 0], 1), made([2, 0]), undefined, { residual }).read())], [3, 4, 5, 6]);
      assert.deepEqual(linear(randn([0, 4], 1), made([3, 4]), undefined, { residual: randn([0, 3], 1) }).shape, [0, 3]);
    });

  // 1 + 2^-8 lies between the bf16 numbers 1 and 1 + 2^-7, and is rounded to 1; 2^-9 more, and it is not.
  for (const [rows, inner, out] of [
    [1, 2, 3],
    [5, 40, 70],
    [300, 300, 600],
  ] as const)
    test(`rounds once, after the residual: bf16 [${rows},${inner}] x [${out},${inner}]`, async () => {
      const halfway = Float32Array.from({ length: rows * inner }, (_, i) => [1, 2 ** -8][i % inner] ?? 0);
      const [x, weight] = [rounded(halfway, [rows, inner], 'bf16'), ones([out, inner], 'bf16')];
      const residual = full([rows, out], 2 ** -9, 'bf16');
      for (const read of [weight, pack(weight)]) {
        const y = await linear(x, read, undefined, { residual }).read();
        assert.deepEqual([...new Set(y)], [1 + 2 ** -7]);
      }
    });

  test('a row of few has the bits that it has alone, with a residual too', async () => {
    for (const dtype of dtypes) {
      const [x, bias, residual] = [randn([4, 130], 1, dtype), randn([70], 2, dtype), randn([4, 70], 3, dtype)];
      const weight = randn([70, 130], 4, dtype);
      for (const read of [weight, pack(weight)]) {
        const all = await linear(x, read, bias, { residual }).read();
        for (let row = 0; row < 4; row++) {
          const own = { residual: rowsView(residual, row, row + 1) };
          assert.deepEqual(await linear(rowsView(x, row, row + 1), read, bias, own).read(), all.slice(row * 70, (row + 1) * 70));
        }
      }
    }
  });

  test('takes x, a weight and a bias that begin anywhere', async () => {
    for (const rows of [3, 12, 70]) {
      const [x, weight, bias] = [randn([rows, 64], 1, 'bf16'), randn([40, 64], 2, 'bf16'), randn([40], 3, 'bf16')];
      const shifts = await bias.read();
      const expected = (await linear64(x, weight)).map((value, i) => value + (shifts[i % 40] as number));
      for (const [a, b, c] of [
        [displaced(x), weight, bias],
        [x, displaced(weight), bias],
        [x, weight, displaced(bias)],
      ] as const)
        await expectClose(linear(a, b, c), expected, { terms: 65 });
    }
  });

  test('takes a residual that begins anywhere, or is x', async () => {
    for (const rows of [1, 70]) {
      const [x, weight, longer] = [randn([rows, 64], 1), randn([64, 64], 2), randn([rows * 64 + 3], 3)];
      const residual = reshape(rowsView(longer, 3, rows * 64 + 3), [rows, 64]);
      const product = await linear64(x, weight);
      for (const added of [residual, x]) {
        const before = await added.read();
        for (const read of [weight, pack(weight)])
          await expectClose(
            linear(x, read, undefined, { residual: added }),
            product.map((value, i) => value + (before[i] as number)),
            { terms: 65 },
          );
      }
    }
  });

  test('gradient agrees with central differences', async () => {
    const connected = (x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) => linear(x, weight, bias, { residual });
    await expectGradient(connected, [3, 5], [4, 5], [4], [3, 4]);
    await expectGradient((x, weight) => linear(x, weight, undefined, { residual: x }), [3, 5], [5, 5]);
    await expectGradient((residual) => linear(randn([3, 5], 1), randn([4, 5], 2), undefined, { residual }), [3, 4]);
    const dense = (x: Tensor, weight: Tensor, bias?: Tensor) => linear(x, weight, bias);
    await expectGradient(dense, [3, 5], [4, 5], [4]);
    await expectGradient((x, bias) => linear(x, randn([4, 5], 1), bias), [3, 5], [4]);
    await expectGradient(dense, [2, 1, 5], [3, 5]);
    await expectGradient(dense, [5], [4, 5], [4]);
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
    refuses(
      () => linear(x, weight, undefined, { residual: randn([3], 1) }),
      'ShapeError',
      'linear: residual is [3], expected [2, 3], the shape of y',
    );
    refuses(
      () => linear(x, weight, undefined, { residual: randn([2, 3], 1, 'f16') }),
      'DtypeError',
      'linear: residual is f16, expected f32, the dtype of x',
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
