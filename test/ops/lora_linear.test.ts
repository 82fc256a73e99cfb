import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  addLoraByRow,
  backward,
  concat,
  type LoraByRow,
  linear,
  loraLinear,
  mergeLora,
  noGradients,
  pack,
  reshape,
  slice,
  type Tensor,
  tensor,
} from '../../lib';
import { assertWithin, epsilon, expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { linear64, product64 } from '../support/products';

const [rank, inner, out, scaling] = [3, 33, 70, 1.5];

function operands(rows: number, dtype: 'f32' | 'bf16' | 'f16') {
  return {
    x: randn([rows, inner], 1, dtype),
    weight: randn([out, inner], 2, dtype),
    loraA: randn([rank, inner], 3, dtype),
    loraB: randn([out, rank], 4, dtype),
    bias: randn([out], 5, dtype),
    xDropped: randn([rows, inner], 6, dtype),
  };
}

/** Adapters of the layer of {@link operands}, each of another rank and scale. */
function adaptersOf(dtype: 'f32' | 'bf16' | 'f16', adapters: readonly number[], ranks = [3, 16, 1, 0]): LoraByRow {
  return {
    loraA: ranks.map((own, i) => randn([own, inner], 20 + i, dtype)),
    loraB: ranks.map((own, i) => randn([out, own], 30 + i, dtype)),
    scalings: ranks.map((_, i) => 1.5 + i / 4),
    adapters,
  };
}

async function lora64(x: Tensor, weight: Tensor, loraA: Tensor, loraB: Tensor, bias: Tensor, xDropped: Tensor) {
  const low = await linear64(xDropped, loraA);
  const rows = x.shape[0] as number;
  const correction = product64({ rows, inner: rank, columns: out }, low, [rank, 1], await loraB.read(), [1, rank]);
  return (await linear64(x, weight, bias)).map((value, i) => value + scaling * (correction[i] as number));
}

onEveryDevice('loraLinear', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const rows of [1, 7, 20])
      for (const layout of ['rows', 'packed'] as const)
        test(`agrees with float64 on ${dtype}, ${rows} rows, weight ${layout}`, async () => {
          const { x, weight, loraA, loraB, bias, xDropped } = operands(rows, dtype);
          const read = layout === 'packed' ? pack(weight) : weight;
          const expected = await lora64(x, weight, loraA, loraB, bias, xDropped);
          const y = loraLinear(x, read, loraA, loraB, { scaling, bias, xDropped });
          // Rounded three times to the dtype: scaling (x loraA^T), whose rank values are summed; the layer; the result.
          const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          const store = dtype === 'f32' ? 0 : epsilon[dtype];
          const allowed = (2 + Math.sqrt(rank)) * store * largest + 4 * Math.sqrt(inner) * epsilon.f32 * largest;
          assertWithin(await y.read(), expected, () => allowed, y);
          const plain = loraLinear(x, read, loraA, loraB);
          assert.deepEqual(plain.shape, [rows, out]);
        });

  test('gradient agrees with central differences', async () => {
    await expectGradient((x, w, a, b) => loraLinear(x, w, a, b, { scaling }), [3, 4], [5, 4], [2, 4], [5, 2]);
    await expectGradient(
      (x, w, a, b, bias, xDropped) => loraLinear(x, w, a, b, { scaling, bias, xDropped }),
      [3, 4],
      [5, 4],
      [2, 4],
      [5, 2],
      [5],
      [3, 4],
    );
  });

  test('gradients over a packed weight are those over rows', async () => {
    const gradients = async (packed: boolean) => {
      const { x, weight, loraA, loraB } = operands(9, 'f32');
      x.requiresGrad = loraA.requiresGrad = loraB.requiresGrad = true;
      backward(loraLinear(x, packed ? pack(weight) : weight, loraA, loraB, { scaling }), randn([9, out], 8));
      return Promise.all([x, loraA, loraB].map((leaf) => leaf.grad!.read()));
    };
    assert.deepEqual(await gradients(true), await gradients(false));
  });

  test('takes sizes of 0', async () => {
    assert.deepEqual(loraLinear(randn([0, 4], 1), randn([3, 4], 1), randn([2, 4], 1), randn([3, 2], 1)).shape, [0, 3]);
    const [x, weight] = [randn([2, 4], 1), randn([3, 4], 2)];
    const y = loraLinear(x, weight, randn([0, 4], 1), randn([3, 0], 1));
    await expectClose(y, await linear64(x, weight), { terms: 4 });
  });

  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    test(`addLoraByRow gives each row what loraLinear gives it alone, to the bit, on ${dtype}`, async () => {
      const { x, weight, bias } = operands(4, dtype);
      for (const adapters of [
        [1, 0, -1, 2],
        [2, 2, -1, 0],
        [3, 1, 1, 1],
      ]) {
        const loras = adaptersOf(dtype, adapters);
        const rows = adapters.map((adapter, row) => {
          const [own, loraA, loraB] = [slice(x, 0, row, row + 1), loras.loraA[adapter], loras.loraB[adapter]];
          if (!loraA || !loraB) return linear(own, weight, bias);
          return loraLinear(own, weight, loraA, loraB, { scaling: loras.scalings[adapter], bias });
        });
        const y = addLoraByRow(linear(x, weight, bias), x, loras);
        assert.deepEqual(await y.read(), await concat(rows, 0).read());
      }
    });

    test(`addLoraByRow agrees with float64 on ${dtype}, whole sequences in a batch of more than one launch`, async () => {
      const [batch, seq] = [67, 2];
      const [x, layer] = [randn([batch, seq, inner], 1, dtype), randn([batch, seq, out], 2, dtype)];
      const adapters = Array.from({ length: batch }, (_, row) => (row % 9 === 8 ? -1 : (row >> 1) % 3));
      const loras = adaptersOf(dtype, adapters, [3, 16, 1]);
      const corrections: ArrayLike<number>[] = [];
      for (const [i, loraA] of loras.loraA.entries()) {
        const [rows, own, loraB] = [batch * seq, loraA.shape[0] as number, loras.loraB[i] as Tensor];
        const sizes = { rows, inner: own, columns: out };
        corrections.push(product64(sizes, await linear64(x, loraA), [own, 1], await loraB.read(), [1, own]));
      }
      const expected = Float64Array.from(await layer.read(), (value, i) => {
        const adapter = adapters[Math.floor(i / (seq * out))] as number;
        return adapter < 0 ? value : value + (loras.scalings[adapter] as number) * (corrections[adapter]?.[i] as number);
      });
      // Rounded twice to the dtype: scaling (x loraA^T), of which up to 16 are summed, and the result.
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const store = dtype === 'f32' ? 0 : epsilon[dtype];
      const allowed = (1 + Math.sqrt(16)) * store * largest + 4 * Math.sqrt(inner) * epsilon.f32 * largest;
      const y = addLoraByRow(layer, x, loras);
      assertWithin(await y.read(), expected, () => allowed, y);
    });
  }

  test('addLoraByRow reads packets of numbers where sizes and places allow, and else one by one', async () => {
    const [size, rows] = [64, 3];
    const [x, layer] = [randn([rows, size], 1), randn([rows, size], 2)];
    const [matrixA, matrixB] = [randn([9 * size], 3), randn([size * 8 + 1], 4)];
    const from = (flat: Tensor, begin: number, shape: readonly [number, number]) =>
      reshape(slice(flat, 0, begin, begin + shape[0] * shape[1]), shape);
    for (const begin of [0, 1]) {
      const [loraA, loraB] = [from(matrixA, begin, [8, size]), from(matrixB, begin, [size, 8])];
      const low = await linear64(x, loraA);
      const correction = product64({ rows, inner: 8, columns: size }, low, [8, 1], await loraB.read(), [1, 8]);
      const expected = Float64Array.from(await layer.read(), (value, i) => value + scaling * (correction[i] as number));
      const y = addLoraByRow(layer, x, { loraA: [loraA], loraB: [loraB], scalings: [scaling], adapters: [0, 0, 0] });
      await expectClose(y, expected, { terms: size + 8 });
    }
  });

  test('addLoraByRow takes sizes of 0, and has no gradient', async () => {
    const [x, layer] = [randn([2, inner], 1), randn([2, out], 2)];
    const none = { loraA: [], loraB: [], scalings: [], adapters: [-1, -1] };
    assert.deepEqual(await addLoraByRow(layer, x, none).read(), await layer.read());
    assert.deepEqual(addLoraByRow(randn([0, out], 1), randn([0, inner], 1), adaptersOf('f32', [])).shape, [0, out]);
    assert.deepEqual(addLoraByRow(randn([2, 0, out], 1), randn([2, 0, inner], 1), adaptersOf('f32', [0, 1])).shape, [2, 0, out]);
    x.requiresGrad = true;
    const call = () => addLoraByRow(layer, x, adaptersOf('f32', [0, 1]));
    assert.throws(call, { name: 'GradientError', message: /^addLoraByRow has no gradient/ });
    assert.deepEqual(noGradients(call).shape, [2, out]);
  });

  test('addLoraByRow names the argument that does not fit', () => {
    const [x, layer, loras] = [randn([2, inner], 1), randn([2, out], 2), adaptersOf('f32', [0, 1])];
    const refuses = (body: () => unknown, name: string, message: string) =>
      assert.throws(body, { name, message: `addLoraByRow: ${message}` });
    const ints = tensor([1, 2], [2, 1], 'i32');
    refuses(() => addLoraByRow(ints, x, loras), 'DtypeError', 'layer is i32, expected f32, bf16 or f16');
    refuses(() => addLoraByRow(randn([out], 1), x, loras), 'ShapeError', 'layer is [70], expected at least 2 axes');
    refuses(() => addLoraByRow(layer, ints, loras), 'DtypeError', 'x is i32, expected f32, the dtype of layer');
    refuses(
      () => addLoraByRow(layer, randn([3, inner], 1), loras),
      'ShapeError',
      'layer is [2, 70], expected [3, 70], the shape of x but for the last size',
    );
    const wrong = (name: string, message: string, change: object) =>
      refuses(() => addLoraByRow(layer, x, { ...loras, ...change }), name, message);
    const second = (list: readonly Tensor[], other: Tensor) => list.map((one, i) => (i === 1 ? other : one));
    const { loraA, loraB } = loras;
    wrong('DtypeError', 'loraA[1] is i32, expected f32, the dtype of layer', { loraA: second(loraA, ints) });
    wrong('ShapeError', 'loraA[1] is [70], expected [rank, in]', { loraA: second(loraA, randn([out], 1)) });
    wrong('ShapeError', 'loraA[1] is [2, 70], expected 33 along axis 1, the last size of x', { loraA: second(loraA, layer) });
    wrong('ArgumentError', 'loraB is a list of 1, expected 4, as many as loraA', { loraB: loraB.slice(1, 2) });
    wrong('DtypeError', 'loraB[1] is i32, expected f32, the dtype of layer', { loraB: second(loraB, ints) });
    wrong('ShapeError', 'loraB[1] is [2, 33], expected [70, 16], the last size of layer by the rank of loraA[1]', {
      loraB: second(loraB, x),
    });
    wrong('ArgumentError', 'scalings is a list of 0, expected 4, as many as loraA', { scalings: [] });
    wrong('ArgumentError', 'scalings[1] is nan, expected a finite number', { scalings: [1, Number.NaN, 1, 1] });
    wrong('ArgumentError', 'adapters is a list of 1, expected 2, the batch of x', { adapters: [0] });
    wrong('ArgumentError', 'adapters[1] is 4, expected -1 to 3', { adapters: [0, 4] });
    wrong('ArgumentError', 'adapters[0] is 0, expected -1, as there are none', { loraA: [], loraB: [], scalings: [] });
  });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    test(`mergeLora agrees with float64 on ${dtype}`, async () => {
      const [weight, loraA, loraB] = [randn([300, inner], 1, dtype), randn([rank, inner], 2, dtype), randn([300, rank], 3, dtype)];
      const [ws, as, bs] = [await weight.read(), await loraA.read(), await loraB.read()];
      const correction = product64({ rows: 300, inner: rank, columns: inner }, bs, [rank, 1], as, [inner, 1]);
      const expected = correction.map((value, i) => (ws[i] as number) + scaling * value);
      await expectClose(mergeLora(weight, loraA, loraB, scaling), expected, { terms: rank + 1 });
    });

  test('names the argument that does not fit', () => {
    const { x, weight, loraA, loraB, bias } = operands(2, 'f32');
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    const ints = tensor([1], [1, 1], 'i32');
    refuses(() => loraLinear(ints, weight, loraA, loraB), 'DtypeError', 'loraLinear: x is i32, expected f32, bf16 or f16');
    refuses(() => loraLinear(randn([], 1), weight, loraA, loraB), 'ShapeError', 'loraLinear: x is [], expected at least 1 axis');
    refuses(() => loraLinear(x, ints, loraA, loraB), 'DtypeError', 'loraLinear: weight is i32, expected f32, the dtype of x');
    refuses(() => loraLinear(x, bias, loraA, loraB), 'ShapeError', 'loraLinear: weight is [70], expected [out, in]');
    refuses(() => loraLinear(x, weight, ints, loraB), 'DtypeError', 'loraLinear: loraA is i32, expected f32, the dtype of x');
    refuses(() => loraLinear(x, weight, bias, loraB), 'ShapeError', 'loraLinear: loraA is [70], expected [rank, in]');
    refuses(
      () => loraLinear(x, weight, loraB, loraB),
      'ShapeError',
      'loraLinear: loraA is [70, 3], expected 33 along axis 1, the inputs of weight',
    );
    refuses(() => loraLinear(x, weight, loraA, ints), 'DtypeError', 'loraLinear: loraB is i32, expected f32, the dtype of x');
    refuses(
      () => loraLinear(x, weight, loraA, loraA),
      'ShapeError',
      'loraLinear: loraB is [3, 33], expected [70, 3], the outputs of weight by the rank of loraA',
    );
    refuses(
      () => loraLinear(x, weight, loraA, loraB, { scaling: Number.NaN }),
      'ArgumentError',
      'loraLinear: scaling is nan, expected a finite number',
    );
    refuses(
      () => loraLinear(randn([2, 4], 1), weight, loraA, loraB),
      'ShapeError',
      'loraLinear: weight is [70, 33], expected 4 along axis 1, the last size of x',
    );
    refuses(
      () => loraLinear(x, weight, loraA, loraB, { xDropped: weight }),
      'ShapeError',
      'loraLinear: xDropped is [70, 33], expected [2, 33], the shape of x',
    );
    refuses(
      () => loraLinear(x, weight, loraA, loraB, { bias: ints }),
      'DtypeError',
      'loraLinear: bias is i32, expected f32, the dtype of x',
    );
    refuses(
      () => loraLinear(x, weight, loraA, loraB, { bias: x }),
      'ShapeError',
      'loraLinear: bias is [2, 33], expected [70], an element for each output of weight',
    );
    refuses(() => mergeLora(ints, loraA, loraB), 'DtypeError', 'mergeLora: weight is i32, expected f32, bf16 or f16');
    refuses(() => mergeLora(bias, loraA, loraB), 'ShapeError', 'mergeLora: weight is [70], expected [out, in]');
    const packed = pack(weight);
    packed.requiresGrad = true;
    const refusesBackward = (dy: Tensor, name: string, message: string) =>
      refuses(() => backward(loraLinear(x, packed, loraA, loraB), dy), name, message);
    refusesBackward(randn([2, 70], 1, 'f16'), 'DtypeError', 'loraLinearBackward: dy is f16, expected f32, the dtype of x');
    refusesBackward(x, 'ShapeError', 'loraLinearBackward: dy is [2, 33], expected [2, 70], the shape of y');
    refusesBackward(
      randn([2, 70], 1),
      'ArgumentError',
      'loraLinearBackward: weight is packed, expected rows when its gradient is asked for',
    );
  });
});
