import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, dropout, ones, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { wordAt } from '../support/random';

onEveryDevice('dropout', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [[1], [3, 255], [0, 3]])
      test(`drops what its random words say in ${dtype} [${shape}]`, async () => {
        const [x, dy] = [randn(shape, 1, dtype), randn(shape, 2, dtype)];
        x.requiresGrad = true;
        const kept = (i: number) => (wordAt(5, 7 + i) >= 0.3 * 2 ** 32 ? 1 / 0.7 : 0);
        const y = dropout(x, 0.3, 5, 7);
        await expectClose(
          y,
          Float64Array.from(await x.read(), (value, i) => value * kept(i)),
          { terms: 1 },
        );
        backward(y, dy);
        await expectClose(
          x.grad as Tensor,
          Float64Array.from(await dy.read(), (value, i) => value * kept(i)),
          { terms: 1 },
        );
        x.grad?.dispose();
      });

  test('drops a share of p, however the work is split', async () => {
    const y = (await dropout(ones([200_000]), 0.05, 1).read()) as Float32Array;
    const dropped = y.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
    assert.ok(Math.abs(dropped / y.length - 0.05) < 4 * Math.sqrt((0.05 * 0.95) / y.length));
    assert.deepEqual(y.slice(150_001, 150_100), await dropout(ones([99]), 0.05, 1, 150_001).read());
  });

  test('with p 0 keeps all', async () => assert.deepEqual([...(await dropout(ones([9]), 0, 1).read())], Array(9).fill(1)));

  test('gradient agrees with central differences', () => expectGradient((x) => dropout(x, 0.5, 3), [4, 5]));

  test('names the argument that does not fit', () => {
    const x = randn([2], 1);
    assert.throws(() => dropout(x, 1, 0), { name: 'ArgumentError', message: 'dropout: p is 1, expected 0 up to, not including, 1' });
    assert.throws(() => dropout(x, Number.NaN, 0), {
      name: 'ArgumentError',
      message: 'dropout: p is nan, expected 0 up to, not including, 1',
    });
    assert.throws(() => dropout(x, 0, -1), { name: 'ArgumentError', message: 'dropout: seed is -1, expected at least 0' });
    assert.throws(() => dropout(x, 0, 0, -1), { name: 'ArgumentError', message: 'dropout: offset is -1, expected at least 0' });
    assert.throws(() => dropout(tensor([1], [1], 'i32'), 0, 0), {
      name: 'DtypeError',
      message: 'dropout: x is i32, expected f32, bf16 or f16',
    });
  });
});
