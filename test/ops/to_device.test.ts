import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { add, cast, devices, embedding, noGradients, Program, relu, tensor, toDevice } from '../../lib';
import { randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('toDevice', () => {
  for (const to of devices())
    test(`brings every dtype to ${to} and back`, async () => {
      for (const dtype of ['f32', 'bf16', 'f16', 'i32', 'u8'] as const) {
        const x = cast(tensor([3, 1, 4, 1, 5]), dtype);
        const there = toDevice(x, to);
        assert.equal(there.device, to);
        assert.equal(there.dtype, dtype);
        const back = toDevice(there, x.device);
        assert.equal(back.device, x.device);
        assert.deepEqual([...(await back.read())], [3, 1, 4, 1, 5]);
      }
    });

  test('takes its turn on both devices: values as they were, many transfers each way', async () => {
    const values = randnArray(3000, 1);
    let x = tensor(values);
    for (let i = 0; i < 20; i++) {
      for (const to of devices()) x = toDevice(x, to);
      x = relu(x);
    }
    assert.deepEqual([...(await x.read())], [...values.map((value) => Math.max(value, 0))]);
    assert.deepEqual([...(await toDevice(tensor([], [0]), 'cpu').read())], []);
  });

  test('passes on an error of what made the tensor', async () => {
    const wrong = embedding(tensor([1, 2], [2, 1]), tensor([5], [1], 'i32'));
    for (const to of devices())
      await assert.rejects(toDevice(wrong, to).read(), { name: 'ArgumentError', message: 'embedding: ids[0] is 5, expected 0 to 1' });
  });

  test('refuses a gradient, a program and tensors of two devices', () => {
    const other = devices().find((device) => device !== tensor([1]).device);
    if (other === undefined) return assert.deepEqual(devices(), ['cpu']);
    const x = tensor([1]);
    x.requiresGrad = true;
    assert.throws(() => toDevice(x, other), { name: 'GradientError', message: /^to: x has a gradient to pass on/ });
    noGradients(() => {
      const there = toDevice(x, other);
      assert.throws(() => add(x, there), {
        name: 'DeviceError',
        message: `add: b is on ${other}, expected ${x.device}, the device of the other tensors`,
      });
      assert.throws(() => new Program().record(() => toDevice(x, other)), {
        name: 'ArgumentError',
        message: /^to: a program is being recorded/,
      });
      assert.throws(
        () =>
          new Program().record(() => {
            relu(x);
            relu(there);
          }),
        { name: 'DeviceError', message: `program: an op is on ${other}, expected ${x.device}, the device of the ops before` },
      );
    });
  });
});
