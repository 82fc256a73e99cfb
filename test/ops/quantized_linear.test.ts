import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, cast, dequantize, quantize, quantizedLinear, type Tensor, tensor } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { displaced, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { linear64, product64 } from '../support/products';

const kinds = ['int8', 'int4'] as const;
const float64 = async (tensor: Tensor) => Float64Array.from(await tensor.read());
const largestOf = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
/**
 * What many rows may lose beside f32 sums, of weights of about 1: either x is off by up to half a step of its group, or bf16
 * reads weights rounded to bf16, half an epsilon each; `inner` such errors add up as their square root.
 */
const roundedTerms = (dtype: 'bf16' | 'f16', inner: number, halfStep: number) =>
  4 * Math.sqrt(inner) * Math.max(halfStep, dtype === 'bf16' ? epsilon.bf16 / 2 : 0);

onEveryDevice('quantizedLinear', (device) => {
  for (const kind of kinds)
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      for (const [rows, inner, out] of [
        [1, 300, 130],
        [3, 33, 65],
        [4, 1, 1],
        [5, 33, 7],
        [8, 300, 130],
        [9, 257, 1100],
      ] as const)
        test(`agrees with float64 on ${kind}, ${dtype} [${rows},${inner}] x [${out},${inner}]`, async () => {
          const [x, bias] = [randn([rows, inner], 1, dtype), randn([out], 3, dtype)];
          const quantized = quantize(randn([out, inner], 2, dtype), kind);
          const weight = dequantize(quantized);
          for (const shift of [undefined, bias]) {
            const y = quantizedLinear(x, quantized, shift);
            const expected = await linear64(x, weight, shift);
            // f32 sums of inner terms of about 1, int4's values and minimums twice that each.
            const sums = 16 * Math.sqrt(inner + 1) * epsilon.f32 * Math.max(largestOf(expected), 4);
            const rounded = rows > 4 && dtype !== 'f32' ? roundedTerms(dtype, inner, largestOf(await float64(x)) / 254) : 0;
            assertWithin(await y.read(), expected, (wanted) => sums + rounded + epsilon[dtype] * Math.abs(wanted), y);
          }
        });

  /** Rows of x of which each group of 128 has one element of `large`, at another place in each row. */
  const withLarge = (rows: number, inner: number, large: number, small: (i: number) => number) =>
    Float32Array.from({ length: rows * inner }, (_, i) => ((i % inner) % 128 === (Math.floor(i / inner) * 37) % 128 ? large : small(i)));

  for (const kind of kinds)
    for (const dtype of ['bf16', 'f16'] as const) {
      test(`large elements do not make the steps of the small ones coarse on ${kind}, ${dtype}`, async () => {
        const [rows, inner, out] = [14, 300, 70];
        const values = withLarge(rows, inner, 200, (i) => 2 * Math.sin(i * i));
        const x = cast(tensor(values, [rows, inner]), dtype);
        const quantized = quantize(randn([out, inner], 2, dtype), kind);
        const expected = await linear64(x, dequantize(quantized));
        // A step is 8 / 127 of the mean magnitude, at most that of a group of 44 with one of 200 among them.
        const rounded = roundedTerms(dtype, inner, (4 * (200 / 44 + 2)) / 127);
        const weights = dtype === 'bf16' ? 4 * (epsilon.bf16 / 2) * Math.sqrt(3) * 200 : 0;
        const sums = 16 * Math.sqrt(inner) * epsilon.f32 * 800;
        const y = quantizedLinear(x, quantized);
        const allowed = (wanted: number) => sums + Math.max(rounded, weights) + epsilon[dtype] * Math.abs(wanted);
        assertWithin(await y.read(), expected, allowed, y);
      });

      test(`an element that stands alone is kept on ${kind}, ${dtype}`, async () => {
        const [rows, inner, out] = [14, 300, 70];
        const x = cast(
          tensor(
            withLarge(rows, inner, -3, () => 0),
            [rows, inner],
          ),
          dtype,
        );
        const quantized = quantize(randn([out, inner], 2, dtype), kind);
        const expected = await linear64(x, dequantize(quantized));
        // Three terms; half a step is a 4064th of the element in whole groups, a 1397th in that of 44.
        const rounded = 3 * roundedTerms(dtype, 3, 1 / 1397);
        const sums = 16 * Math.sqrt(inner) * epsilon.f32 * 12;
        const y = quantizedLinear(x, quantized);
        assertWithin(await y.read(), expected, (wanted) => sums + rounded + epsilon[dtype] * Math.abs(wanted), y);
      });

      test(`what is not finite reaches its own row alone on ${kind}, ${dtype}`, async () => {
        const x = Float32Array.from(await randn([9, 140], 1).read());
        [x[3 * 140 + 7], x[5 * 140 + 130]] = [Number.NaN, Number.POSITIVE_INFINITY];
        const quantized = quantize(randn([70, 140], 2), kind);
        const y = await quantizedLinear(cast(tensor(x, [9, 140]), dtype), quantized).read();
        for (const [i, value] of y.entries()) assert.equal(Number.isFinite(value), ![3, 5].includes(Math.floor(i / 70)), `element ${i}`);
      });
    }

  for (const kind of kinds)
    test(`gradient agrees with central differences on ${kind}`, async () => {
      const quantized = quantize(randn([5, 6], 2), kind);
      await expectGradient((x, bias) => quantizedLinear(x, quantized, bias), [3, 6], [5]);
    });

  for (const kind of kinds)
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      test(`gradient agrees with float64 on ${kind}, ${dtype}`, async () => {
        const [rows, inner, out] = [7, 140, 70];
        const [x, dy] = [randn([rows, inner], 1, dtype), randn([rows, out], 3, dtype)];
        const quantized = quantize(randn([out, inner], 2), kind);
        x.requiresGrad = true;
        backward(quantizedLinear(x, quantized), dy);
        const [dys, ws] = [await dy.read(), await dequantize(quantized).read()];
        const expected = product64({ rows, inner: out, columns: inner }, dys, [out, 1], ws, [inner, 1]);
        const sums = 16 * Math.sqrt(out) * epsilon.f32 * largestOf(expected);
        const weights = dtype === 'bf16' ? 4 * (epsilon.bf16 / 2) * Math.sqrt(out) : 0;
        assertWithin(await x.grad!.read(), expected, (wanted) => sums + weights + epsilon[dtype] * Math.abs(wanted), x.grad!);
      });

  test('reads parts that begin anywhere on the CPU, and says on a GPU that it cannot', async () => {
    const x = randn([2, 300], 1);
    for (const kind of kinds) {
      const whole = quantize(randn([130, 300], 2), kind);
      const expected = await quantizedLinear(x, whole).read();
      for (const part of ['values', 'scales', 'minimums'] as const) {
        const own = whole[part];
        if (!own) continue;
        const read = quantizedLinear(x, { ...whole, [part]: displaced(own) }).read();
        if (device === 'cpu') assert.deepEqual(await read, expected);
        else await assert.rejects(read, { name: 'ArgumentError', message: /does not begin at 16 bytes/ });
      }
    }
  });

  test('takes sizes of 0', async () => {
    for (const kind of kinds) {
      assert.deepEqual(quantizedLinear(randn([0, 4], 1), quantize(randn([3, 4], 1), kind)).shape, [0, 3]);
      assert.deepEqual(quantizedLinear(randn([2, 4], 1), quantize(randn([0, 4], 1), kind)).shape, [2, 0]);
      const y = quantizedLinear(randn([2, 0], 1), quantize(randn([2, 0], 1), kind), tensor([1, 2]));
      assert.deepEqual([...(await y.read())], [1, 2, 1, 2]);
    }
  });

  test('names the argument that does not fit', () => {
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    const quantized = quantize(randn([3, 4], 1), 'int8');
    const x = randn([2, 4], 1);
    refuses(
      () => quantizedLinear(tensor([1], [1], 'i32'), quantized),
      'DtypeError',
      'quantizedLinear: x is i32, expected f32, bf16 or f16',
    );
    refuses(() => quantizedLinear(randn([], 1), quantized), 'ShapeError', 'quantizedLinear: x is [], expected at least 1 axis');
    refuses(() => quantizedLinear(x, { ...quantized, values: x }), 'DtypeError', 'quantizedLinear: values is f32, expected u8');
    refuses(
      () => quantizedLinear(randn([2, 5], 1), quantized),
      'ShapeError',
      'quantizedLinear: x is [2, 5], expected 4 along axis 1, the inputs of the weight',
    );
    refuses(
      () => quantizedLinear(x, quantized, randn([3], 1, 'f16')),
      'DtypeError',
      'quantizedLinear: bias is f16, expected f32, the dtype of x',
    );
    refuses(
      () => quantizedLinear(x, quantized, randn([4], 1)),
      'ShapeError',
      'quantizedLinear: bias is [4], expected [3], an element for each output of the weight',
    );
    x.requiresGrad = true;
    const refusesBackward = (shape: number[], dtype: 'f32' | 'i32', name: string, message: string) =>
      refuses(() => backward(quantizedLinear(x, quantized), dtype === 'i32' ? tensor([1], shape, 'i32') : randn(shape, 1)), name, message);
    refusesBackward([1], 'i32', 'DtypeError', 'quantizedLinearBackward: dy is i32, expected f32, bf16 or f16');
    refusesBackward([], 'f32', 'ShapeError', 'quantizedLinearBackward: dy is [], expected at least 1 axis');
    refusesBackward(
      [2, 4],
      'f32',
      'ShapeError',
      'quantizedLinearBackward: dy is [2, 4], expected 3 along axis 1, the outputs of the weight',
    );
  });
});
