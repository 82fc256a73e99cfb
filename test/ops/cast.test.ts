import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, cast, type Tensor, tensor } from '../../lib';
import { bf16Bits, countOf, f16Bits, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('cast', () => {
  for (const shape of [[1], [3, 255], [2, 1, 4099], [0, 3]]) {
    test(`rounds f32 to nearest even on [${shape}]`, async () => {
      const x = randn(shape, 1);
      const values = (await x.read()) as Float32Array;
      assert.deepEqual(await cast(x, 'bf16').readBits(), Uint16Array.from(values, bf16Bits));
      assert.deepEqual(await cast(x, 'f16').readBits(), Uint16Array.from(values, f16Bits));
      assert.deepEqual(await cast(cast(x, 'f32'), 'f32').read(), values);
    });

    test(`keeps what the other dtype holds on [${shape}]`, async () => {
      const values = Int32Array.from({ length: countOf(shape) }, (_, i) => i % 128);
      const integers = tensor(values, shape);
      for (const dtype of ['f32', 'bf16', 'f16', 'u8'] as const) {
        const there = cast(integers, dtype);
        assert.deepEqual(Int32Array.from(await there.read()), values);
        for (const other of ['f32', 'bf16', 'f16', 'u8', 'i32'] as const) {
          assert.deepEqual(Int32Array.from(await cast(there, other).read()), values);
        }
      }
    });
  }

  test('truncates and clamps to integers', async () => {
    const x = tensor([1.9, -1.9, 3e9, -3e9, Number.NaN, 255.5, 256, -0.5, Number.POSITIVE_INFINITY]);
    assert.deepEqual([...(await cast(x, 'i32').read())], [1, -1, 2147483647, -2147483648, 0, 255, 256, 0, 2147483647]);
    assert.deepEqual([...(await cast(x, 'u8').read())], [1, 0, 255, 0, 0, 255, 255, 0, 255]);
  });

  test('hands the gradient back in the dtype of x', async () => {
    const x = randn([5], 1);
    x.requiresGrad = true;
    backward(cast(x, 'bf16'), randn([5], 2, 'bf16'));
    assert.equal(x.grad?.dtype, 'f32');
    assert.deepEqual(await (x.grad as Tensor).read(), await randn([5], 2, 'bf16').read());
    x.grad?.dispose();
  });

  test('refuses a gradient through integers', () => {
    const x = randn([5], 1);
    x.requiresGrad = true;
    assert.throws(() => cast(x, 'i32'), {
      name: 'GradientError',
      message: 'cast: to i32 has no gradient, expected f32, bf16 or f16, or a tensor that requires none',
    });
  });

  test('names a dtype there is not', () =>
    assert.throws(() => cast(randn([1], 1), 'f64' as 'f32'), {
      name: 'ArgumentError',
      message: 'cast: dtype is "f64", expected "f32", "bf16", "f16", "i32" or "u8"',
    }));
});
