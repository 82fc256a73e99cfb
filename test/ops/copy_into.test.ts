import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { copyInto, empty, rowsView, Scope, tensor, zeros } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('copyInto', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    test(`overwrites what is there, ${dtype}`, async () => {
      using _scope = Scope.open();
      const [x, target] = [randn([3, 4099], 1, dtype), zeros([3, 4099], dtype)];
      copyInto(x, target);
      assert.deepEqual(await target.readBits(), await x.readBits());
    });
  }

  test('overwrites a part through a view, and what was never written', async () => {
    using _scope = Scope.open();
    const target = zeros([3, 2], 'i32');
    copyInto(tensor([7, 8], [1, 2], 'i32'), rowsView(target, 1, 2));
    assert.deepEqual(Array.from(await target.read()), [0, 0, 7, 8, 0, 0]);
    const fresh = empty([2]);
    copyInto(tensor([1, 2]), fresh);
    assert.deepEqual(Array.from(await fresh.read()), [1, 2]);
  });

  test('names what does not fit', () => {
    using _scope = Scope.open();
    const x = zeros([3]);
    assert.throws(() => copyInto(x, zeros([2])), { name: 'ShapeError', message: 'copy: y is [2], expected [3], the shape of x' });
    assert.throws(() => copyInto(x, zeros([3], 'bf16')), { name: 'DtypeError', message: 'copy: y is bf16, expected f32' });
    assert.throws(() => copyInto(x, undefined as never), { name: 'ArgumentError', message: 'copy: y is null, expected a tensor' });
    const rows = zeros([5, 2]);
    for (const [from, to] of [
      [0, 1],
      [2, 0],
    ] as const)
      assert.throws(() => copyInto(rowsView(rows, from, from + 3), rowsView(rows, to, to + 3)), {
        name: 'ArgumentError',
        message: /^copy: [xy] is in the memory of [xy], expected memory of its own$/,
      });
    copyInto(rowsView(rows, 0, 2), rowsView(rows, 2, 4));
    const trained = zeros([3]);
    trained.requiresGrad = true;
    assert.throws(() => copyInto(x, trained), {
      name: 'ArgumentError',
      message: 'copyInto: target requires a gradient, expected a tensor that requires none',
    });
  });
});
