import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { memory, pack, swiglu, synchronize, tensor, unpack } from '../../lib';
import { run } from '../../lib/autograd/run';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

onEveryDevice('pack', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1, 1],
      [64, 32],
      [65, 33],
      [130, 300],
      [0, 5],
      [5, 0],
    ])
      test(`comes back bit for bit: ${dtype} [${shape}]`, async () => {
        const weight = randn(shape, 1, dtype);
        const packed = pack(weight);
        assert.equal(packed.layout, 'packed');
        assert.deepEqual([packed.shape, packed.dtype], [weight.shape, dtype]);
        const rows = unpack(packed);
        assert.equal(rows.layout, 'rows');
        assert.deepEqual(await rows.readBits(), await weight.readBits());
      });

  test('unpack copies rows', async () => {
    const weight = randn([3, 5], 1);
    assert.deepEqual(await unpack(weight).read(), await weight.read());
  });

  test('keeps no second copy', async () => {
    await collectGarbage();
    const before = memory().liveBytes;
    const weight = randn([1024, 1024], 1);
    const packed = pack(weight);
    weight.dispose();
    await synchronize();
    const held = memory().liveBytes - before;
    assert.ok(held <= 1.05 * 1024 * 1024 * 4, `${held} bytes are held`);
    packed.dispose();
  });

  test('refuses what is not a matrix, and the packed where rows are due', () => {
    const refuses = (body: () => unknown, name: string, message: string) => assert.throws(body, { name, message });
    refuses(() => pack(tensor([1], [1, 1], 'i32')), 'DtypeError', 'pack: weight is i32, expected f32, bf16 or f16');
    refuses(() => pack(randn([4], 1)), 'ShapeError', 'pack: weight is [4], expected [out, in]');
    refuses(() => unpack(tensor([1], [1, 1], 'i32')), 'DtypeError', 'unpack: packed is i32, expected f32, bf16 or f16');
    refuses(() => unpack(randn([4], 1)), 'ShapeError', 'unpack: packed is [4], expected [out, in]');
    const packed = pack(randn([2, 2], 1));
    refuses(() => pack(packed), 'ArgumentError', 'pack: weight is packed, expected rows');
    refuses(() => swiglu(packed, packed), 'ArgumentError', 'swiglu: gate is packed, expected rows');
    const weight = randn([2, 2], 1);
    assert.throws(() => run('pack', { weight, packed: randn([2, 2], 1) }), {
      message: 'pack: packed is given, expected a result that this op makes',
    });
    weight.requiresGrad = true;
    refuses(() => pack(weight), 'GradientError', 'pack has no gradient; call it inside noGradients(), or on tensors that require none');
  });
});
