import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { add, backward, type Tensor, tensor } from '../../lib';
import { broadcastIndex } from '../support/broadcast';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { expectSameInHalves } from '../support/parts';

const pairs: [number[], number[]][] = [
  [[1], [1]],
  [[], []],
  [
    [3, 255],
    [3, 255],
  ],
  [[2, 70, 33], [33]],
  [
    [2, 7, 5],
    [7, 5],
  ],
  [
    [3, 2, 1032],
    [2, 1032],
  ],
  [[3, 1, 4099], [1]],
  [
    [2, 5, 3, 7],
    [1, 5, 1, 1],
  ],
  [
    [4, 9, 6],
    [4, 1, 6],
  ],
  [
    [4, 9],
    [4, 1],
  ],
  [[0, 3], [3]],
  [[2, 0], [1]],
];

onEveryDevice('add', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [larger, smaller] of pairs)
      test(`agrees with float64 on ${dtype} [${larger}] and [${smaller}]`, async () => {
        const [a, b] = [randn(larger, 1, dtype), randn(smaller, 2, dtype)];
        const [left, right] = [await a.read(), await b.read()];
        const expected = broadcastIndex(larger, smaller).map((j, i) => (left[i] as number) + (right[j] as number));
        await expectClose(add(a, b), expected, { terms: 1 });
      });

  for (const [larger, smaller] of [
    [
      [2, 5],
      [2, 5],
    ],
    [[3, 2, 5], [5]],
    [
      [2, 3, 2, 2],
      [1, 3, 1, 1],
    ],
    [
      [2, 3, 4],
      [2, 1, 4],
    ],
    [
      [3, 4],
      [3, 1],
    ],
  ] as const)
    test(`gradient agrees with central differences on [${larger}] and [${smaller}]`, () => expectGradient(add, larger, smaller));

  test('the gradient of what was broadcast is a sum in f32, in pieces', async () => {
    for (const [larger, smaller] of [
      [[300, 1050], [1050]],
      [[3, 20000], [1]],
      [
        [2, 4, 9000],
        [4, 1],
      ],
    ] as const) {
      const [a, b, dy] = [randn(larger, 1, 'bf16'), randn(smaller, 2, 'bf16'), randn(larger, 3, 'bf16')];
      b.requiresGrad = true;
      backward(add(a, b), dy);
      const expected = new Float64Array(b.count);
      const given = await dy.read();
      broadcastIndex(larger, smaller).forEach((j, i) => {
        expected[j] = (expected[j] as number) + (given[i] as number);
      });
      await expectClose(b.grad as Tensor, expected, { terms: larger[0] * 100, scale: 10 });
      b.grad?.dispose();
    }
  });

  test('of a tensor and itself has the gradient of both places', () => expectGradient((x) => add(x, x), [7]));

  test('of more than the caches hold is that of its parts', () => expectSameInHalves((x) => add(x, x), 'f32'));

  test('names the argument that does not fit', () => {
    assert.throws(() => add(randn([2, 4], 1), randn([5], 1)), {
      name: 'ShapeError',
      message: 'add: b is [5], expected a shape that broadcasts to [2, 4], the shape of a',
    });
    assert.throws(() => add(randn([4], 1), randn([2, 4], 1)), {
      name: 'ShapeError',
      message: 'add: b is [2, 4], expected a shape that broadcasts to [4], the shape of a',
    });
    assert.throws(() => add(tensor([1], [1], 'i32'), randn([1], 1)), {
      name: 'DtypeError',
      message: 'add: a is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => add(randn([1], 1), randn([1], 1, 'bf16')), {
      name: 'DtypeError',
      message: 'add: b is bf16, expected f32, the dtype of a',
    });
  });
});
