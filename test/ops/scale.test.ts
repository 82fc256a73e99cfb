import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { scale, tensor } from '../../lib';
import { expectClose, inFloat64 } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

onEveryDevice('scale', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [3, 255], [2, 1, 4099], [0, 3]])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const x = randn(shape, 1, dtype);
        await expectClose(scale(x, 0.75, -2), await inFloat64((value) => value * 0.75 - 2, x), { terms: 1 });
      });

  test('gradient agrees with central differences', () => expectGradient((x) => scale(x, 3, 1), [2, 5]));

  test('names the argument that does not fit', () => {
    assert.throws(() => scale(randn([1], 1), Number.NaN), {
      name: 'ArgumentError',
      message: 'scale: factor is nan, expected a finite number',
    });
    assert.throws(() => scale(randn([1], 1), 1, Number.POSITIVE_INFINITY), {
      name: 'ArgumentError',
      message: 'scale: shift is inf, expected a finite number',
    });
    assert.throws(() => scale(tensor([1], [1], 'i32'), 1), { name: 'DtypeError', message: 'scale: x is i32, expected f32, bf16 or f16' });
  });
});
