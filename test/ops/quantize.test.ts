import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { dequantize, memory, quantize, synchronize, tensor } from '../../lib';
import { run } from '../../lib/autograd/run';
import { assertWithin } from '../support/close';
import { randn, randnArray, rounded } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

const kinds = ['int8', 'int4'] as const;
const GROUP = 128;

onEveryDevice('quantize', () => {
  for (const kind of kinds)
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      for (const [out, inner] of [
        [1, 1],
        [3, 130],
        [65, 300],
        [2, 128],
      ] as const)
        test(`${kind} keeps ${dtype} [${out},${inner}] within half a step of each group`, async () => {
          const weight = randn([out, inner], 1, dtype);
          const [weights, result] = [await weight.read(), await dequantize(quantize(weight, kind)).read()];
          for (let row = 0; row < out; row++)
            for (let first = 0; first < inner; first += GROUP) {
              const [begin, end] = [row * inner + first, row * inner + Math.min(first + GROUP, inner)];
              const group = weights.slice(begin, end);
              const [least, largest] = [Math.min(...group), Math.max(...group)];
              const size = Math.max(Math.abs(least), Math.abs(largest));
              const step = kind === 'int8' ? size / 127 : (largest - least) / 15;
              // Scale and minimum are bf16: the step is up to 2^-7 larger, the minimum off by 2^-9 of itself, on either end.
              const allowed = (step * (1 + 2 ** -7)) / 2 + (kind === 'int4' ? 2 ** -8 * size : 0) + 1e-6 * size;
              assertWithin(result.slice(begin, end), group, () => allowed, { shape: [end - begin], dtype }, `row ${row} from ${first}`);
            }
        });

  test('keeps what it can represent', async () => {
    const zeros = tensor(new Float32Array(200), [2, 100]);
    for (const kind of kinds) assert.deepEqual([...(await dequantize(quantize(zeros, kind)).read())], Array(200).fill(0));
    const same = tensor(new Float32Array(130).fill(0.5), [1, 130]);
    assert.deepEqual([...(await dequantize(quantize(same, 'int4')).read())], Array(130).fill(0.5));
    const exact = Float32Array.from({ length: 128 }, (_, i) => (i % 2 ? 127 - i : i - 127));
    assert.deepEqual([...(await dequantize(quantize(tensor(exact, [1, 128]), 'int8')).read())], [...exact]);
  });

  for (const kind of kinds)
    test(`${kind}: what is not finite spoils its group alone, and large weights stay finite`, async () => {
      const values = randnArray(256, 1);
      values[3] = Number.NaN;
      const result = await dequantize(quantize(tensor(values, [1, 256]), kind)).read();
      assert.ok(result.slice(0, 128).every(Number.isNaN));
      assert.ok(result.slice(128).every(Number.isFinite));
      const large = await dequantize(quantize(tensor([1e38, -1e38], [1, 2]), kind)).read();
      assertWithin(large, [1e38, -1e38], () => 1e36, { shape: [1, 2], dtype: 'f32' });
    });

  test('takes sizes of 0', () => {
    for (const kind of kinds)
      for (const shape of [
        [0, 5],
        [5, 0],
      ])
        assert.deepEqual(dequantize(quantize(randn(shape, 1), kind)).shape, shape);
  });

  test('takes 8.125 and 4.25 bits a weight', async () => {
    const weight = randn([1024, 1024], 1);
    for (const [kind, bits] of [
      ['int8', 8.125],
      ['int4', 4.25],
    ] as const) {
      await collectGarbage();
      const before = memory().liveBytes;
      const { values, scales, minimums } = quantize(weight, kind);
      await synchronize();
      const held = memory().liveBytes - before;
      assert.ok(held <= (1.05 * 1024 * 1024 * bits) / 8, `${held} bytes are held`);
      for (const made of [values, scales, minimums]) made?.dispose();
    }
  });

  test('names the argument that does not fit', () => {
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    refuses(() => quantize(tensor([1], [1, 1], 'i32'), 'int8'), 'DtypeError', 'quantize: weight is i32, expected f32, bf16 or f16');
    refuses(() => quantize(randn([4], 1), 'int8'), 'ShapeError', 'quantize: weight is [4], expected [out, in]');
    refuses(
      () => quantize(randn([1, 1], 1), 'int2' as 'int4'),
      'ArgumentError',
      'quantize: kind is "int2", expected one of "int8", "int4"',
    );
    const weight = randn([3, 40], 1);
    const minimums = rounded(new Float32Array(64), [1, 1, 64], 'bf16');
    assert.throws(() => run('quantize', { weight, kind: 'int8', minimums }), {
      message: 'quantize: minimums is given, expected none for int8',
    });
    const [int8, int4] = [quantize(weight, 'int8'), quantize(weight, 'int4')];
    refuses(() => dequantize({ ...int8, shape: [-1, 40] }), 'ArgumentError', 'dequantize: out is -1, expected 0 to 2^48');
    refuses(() => dequantize({ ...int8, shape: [3, -1] }), 'ArgumentError', 'dequantize: in is -1, expected 0 to 2^48');
    refuses(() => dequantize({ ...int8, values: weight }), 'DtypeError', 'dequantize: values is f32, expected u8');
    refuses(
      () => dequantize({ ...int8, shape: [65, 40] }),
      'ShapeError',
      'dequantize: values is [1, 16, 256], expected [2, 16, 256], the order of an int8 weight [out, in]',
    );
    refuses(
      () => dequantize({ ...int4, values: int8.values }),
      'ShapeError',
      'dequantize: values is [1, 16, 256], expected [1, 8, 256], the order of an int4 weight [out, in]',
    );
    refuses(() => dequantize({ ...int8, scales: weight }), 'DtypeError', 'dequantize: scales is f32, expected bf16');
    refuses(
      () => dequantize({ ...int8, scales: rounded(new Float32Array(64), [64], 'bf16') }),
      'ShapeError',
      'dequantize: scales is [64], expected [1, 1, 64], one for each output and group of 128 inputs',
    );
    refuses(
      () => dequantize({ ...int4, minimums: weight }),
      'ShapeError',
      'dequantize: minimums is [3, 40], expected [1, 1, 64], the shape of scales',
    );
    weight.requiresGrad = true;
    refuses(
      () => quantize(weight, 'int8'),
      'GradientError',
      'quantize has no gradient; call it inside noGradients(), or on tensors that require none',
    );
  });
});
