import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { swiglu, tensor } from '../../lib';
import { expectClose, inFloat64 } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { expectSameInHalves } from '../support/parts';

onEveryDevice('swiglu', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [3, 255], [2, 1, 4099], [0, 3]])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const [gate, up] = [randn(shape, 1, dtype), randn(shape, 2, dtype)];
        await expectClose(swiglu(gate, up), await inFloat64((g, u) => (g / (1 + Math.exp(-g))) * u, gate, up), { terms: 1 });
      });

  test('gradient agrees with central differences', () => expectGradient(swiglu, [2, 5], [2, 5]));

  test('of more than the caches hold is that of its parts', () => expectSameInHalves((x) => swiglu(x, x), 'f32'));

  test('names the argument that does not fit', () =>
    assert.throws(() => swiglu(randn([2, 4], 1), randn([2, 5], 1)), {
      name: 'ShapeError',
      message: 'swiglu: up is [2, 5], expected [2, 4], the shape of gate',
    }));

  test('names the dtype that does not fit', () => {
    assert.throws(() => swiglu(tensor([1], [1], 'i32'), randn([1], 1)), {
      name: 'DtypeError',
      message: 'swiglu: gate is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => swiglu(randn([1], 1), randn([1], 1, 'bf16')), {
      name: 'DtypeError',
      message: 'swiglu: up is bf16, expected f32, the dtype of gate',
    });
  });
});
