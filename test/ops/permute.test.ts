import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { permute, tensor } from '../../lib';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

/** For each element of the result, its index in x. */
function permuted(shape: readonly number[], axes: readonly number[]): number[] {
  const strides = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
  const result = axes.map((axis) => shape.at(axis) as number);
  return Array.from({ length: countOf(shape) }, (_, index) => {
    let rest = index;
    let from = 0;
    for (let i = axes.length - 1; i >= 0; i--) {
      from += (rest % (result[i] as number)) * (strides.at(axes[i] as number) as number);
      rest = Math.floor(rest / (result[i] as number));
    }
    return from;
  });
}

const cases: [number[], number[]][] = [
  [[], []],
  [[5], [0]],
  [
    [33, 70],
    [1, 0],
  ],
  [
    [2, 33, 5],
    [0, 2, 1],
  ],
  [
    [2, 7, 3, 16],
    [0, 2, 1, 3],
  ],
  [
    [2, 7, 3, 16],
    [3, 1, 0, 2],
  ],
  [
    [2, 3, 37, 41],
    [0, 2, 3, 1],
  ],
  [
    [2, 37, 41, 3],
    [0, -1, 1, 2],
  ],
  [
    [2, 3, 4, 2, 3, 5],
    [5, 2, 0, 4, 1, 3],
  ],
  [
    [1, 300, 1, 40],
    [3, 2, 1, 0],
  ],
  [[100000], [0]],
  [
    [0, 3],
    [1, 0],
  ],
];

onEveryDevice('permute', () => {
  for (const [shape, axes] of cases)
    test(`puts the axes of [${shape}] in the order [${axes}]`, async () => {
      const order = permuted(shape, axes);
      const values = Int32Array.from({ length: countOf(shape) }, (_, i) => i);
      for (const x of [tensor(values, shape), tensor(Uint8Array.from(values), shape), randn(shape, 1, 'bf16')]) {
        const y = permute(x, axes);
        assert.deepEqual(
          [...y.shape],
          axes.map((axis) => shape.at(axis)),
        );
        const given = await x.readBits();
        assert.deepEqual(
          [...(await y.readBits())],
          order.map((from) => given[from]),
        );
      }
    });

  test('gradient agrees with central differences', () => expectGradient((x) => permute(x, [2, 0, -2]), [2, 3, 4]));

  test('names the argument that does not fit', () => {
    const x = randn([2, 3], 1);
    assert.throws(() => permute(x, [0]), { name: 'ArgumentError', message: 'permute: axes is 1 axes, expected the 2 of x [2, 3]' });
    assert.throws(() => permute(x, [0, 2]), { name: 'ArgumentError', message: 'permute: axes[1] is 2, expected -2 to 1' });
    assert.throws(() => permute(x, [1, -1]), { name: 'ArgumentError', message: 'permute: axes[1] is -1, expected each axis once' });
  });
});
