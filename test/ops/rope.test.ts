import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { rope, tensor } from '../../lib';
import { tokensFirst } from '../support/attention';
import { expectClose } from '../support/close';
import { randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

/** In float64 but for the angle, which is formed in f32. */
function inFloat64(
  x: ArrayLike<number>,
  [batch, heads, seq, dim]: readonly number[],
  positions: readonly number[],
  base: number,
): Float64Array {
  const half = (dim as number) / 2;
  const y = new Float64Array(x.length);
  for (let row = 0; row < batch! * heads! * seq!; row++)
    for (let i = 0; i < half; i++) {
      const frequency = Math.fround(1 / Math.fround(base ** Math.fround((2 * i) / (dim as number))));
      const b = Math.floor(row / (heads! * seq!));
      const angle = Math.fround(frequency * (positions[b * seq! + (row % seq!)] as number));
      const [low, high] = [x[row * dim! + i] as number, x[row * dim! + half + i] as number];
      y[row * dim! + i] = low * Math.cos(angle) - high * Math.sin(angle);
      y[row * dim! + half + i] = high * Math.cos(angle) + low * Math.sin(angle);
    }
  return y;
}

onEveryDevice('rope', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1, 1, 1, 2],
      [2, 3, 5, 10],
      [1, 2, 7, 66],
      [2, 2, 300, 128],
      [1, 0, 3, 4],
      [1, 2, 0, 4],
      [1, 2, 3, 0],
    ])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const [batch, , seq] = shape as [number, number, number];
        const positions = Array.from({ length: batch * seq }, (_, i) => (i * 37) % 4096);
        const x = randn(shape, 1, dtype);
        // The frequency itself may differ by an f32 rounding of the power: an angle of thousands moves by as many roundings.
        const largestAngle = Math.max(1, ...positions);
        const expected = inFloat64(await x.read(), shape, positions, 10000);
        await expectClose(rope(x, tensor(positions, [batch, seq], 'i32')), expected, { terms: 2, scale: largestAngle });
      });

  test('takes any position', async () => {
    const positions = [-5, 2 ** 31 - 1, -(2 ** 31)];
    const x = randn([1, 1, 3, 2], 1);
    const expected = inFloat64(await x.read(), [1, 1, 3, 2], positions, 10000);
    await expectClose(rope(x, tensor(positions, [1, 3], 'i32')), expected, { terms: 2 });
  });

  test('takes tokens before heads', async () => {
    const [shape, x] = [[2, 3, 5, 8], randnArray(240, 1)];
    const positions = tensor(
      Int32Array.from({ length: 10 }, (_, i) => i),
      [2, 5],
    );
    const one = (await rope(tensor(x, shape), positions).read()) as Float32Array;
    const other = rope(tensor(tokensFirst(x, shape), [2, 5, 3, 8]), positions, { tokensFirst: true });
    assert.deepEqual(await other.read(), tokensFirst(one, shape));
  });

  for (const first of [false, true])
    test(`gradient agrees with central differences${first ? ', tokens first' : ''}`, () => {
      const positions = tensor([0, 1, 9, 4, 2, 700], [2, 3], 'i32');
      return expectGradient((x) => rope(x, positions, { base: 500, tokensFirst: first }), first ? [2, 3, 2, 6] : [2, 2, 3, 6]);
    });

  const x = () => randn([1, 2, 3, 4], 1);
  const ids = () => tensor([0, 1, 2], [1, 3], 'i32');
  const messages: [string, string, () => unknown][] = [
    ['DtypeError', 'rope: x is i32, expected f32, bf16 or f16', () => rope(ids(), ids())],
    ['ShapeError', 'rope: x is [4], expected [batch, heads, seq, headDim]', () => rope(randn([4], 1), ids())],
    ['ShapeError', 'rope: x is [4], expected [batch, seq, heads, headDim]', () => rope(randn([4], 1), ids(), { tokensFirst: true })],
    ['ArgumentError', 'rope: headDim is 5, expected an even number', () => rope(randn([1, 2, 3, 5], 1), ids())],
    ['DtypeError', 'rope: positionIds is f32, expected i32', () => rope(x(), randn([1, 3], 1))],
    ['ShapeError', 'rope: positionIds is [3], expected [1, 3], [batch, seq]', () => rope(x(), tensor([0, 1, 2], [3], 'i32'))],
    ['ArgumentError', 'rope: base is 0, expected a finite number above 0', () => rope(x(), ids(), { base: 0 })],
  ];
  for (const [name, message, body] of messages) test(message, () => assert.throws(body, { name, message }));
});
