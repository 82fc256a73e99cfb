import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { adamw, rowsView, Scope, tensor, zeros } from '../../lib';
import { onEveryDevice } from '../support/devices';

onEveryDevice('rowsView', () => {
  test('is the rows themselves', async () => {
    using _scope = Scope.open();
    const x = tensor(
      Float32Array.from({ length: 12 }, (_, i) => i),
      [3, 2, 2],
    );
    const rows = rowsView(x, 1, 3);
    assert.deepEqual(rows.shape, [2, 2, 2]);
    assert.deepEqual(Array.from(await rows.read()), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert.deepEqual(rowsView(x, 2, 2).shape, [0, 2, 2]);
    assert.deepEqual(Array.from(await rowsView(tensor([7, 8], [2], 'i32'), 1, 2).read()), [8]);
  });

  test('what is changed in the rows is changed in x', async () => {
    using _scope = Scope.open();
    const x = zeros([3, 2]);
    const row = rowsView(x, 1, 2);
    const moments = () => [zeros([1, 2])];
    adamw({
      ...{ params: [row], grads: [tensor([1, 1], [1, 2])], expAvg: moments(), expAvgSq: moments() },
      ...{ lr: 1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0, step: 1 },
    });
    const values = Array.from(await x.read());
    assert.deepEqual([values[0], values[1], values[4], values[5]], [0, 0, 0, 0]);
    assert.ok(Math.abs((values[2] as number) + 1) < 1e-6);
  });

  test('names the rows that are not there', () => {
    using _scope = Scope.open();
    const says = (begin: number, end: number, got: string) =>
      assert.throws(() => rowsView(zeros([3, 2]), begin, end), {
        name: 'ArgumentError',
        message: `rowsView: rows are ${got}, expected within 0 to 3, the first axis of x`,
      });
    says(0, 4, '0 to 4');
    says(-1, 2, '-1 to 2');
    says(2, 1, '2 to 1');
    says(0.5, 1, '0.5 to 1');
    assert.throws(() => rowsView(zeros([]), 0, 1), { name: 'ArgumentError' });
  });

  test('has no gradient', () => {
    using _scope = Scope.open();
    const x = zeros([2]);
    x.requiresGrad = true;
    assert.throws(() => rowsView(x, 0, 1), {
      name: 'GradientError',
      message: 'rowsView has no gradient; call slice, or give it a tensor that requires none',
    });
  });
});
