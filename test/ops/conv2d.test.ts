import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, conv2d, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

interface Case {
  x: [number, number, number, number];
  weight: [number, number, number, number];
  stride: number;
  padding: number;
  bias?: boolean;
}

const cases: Case[] = [
  { x: [2, 3, 33, 47], weight: [5, 3, 14, 14], stride: 14, padding: 0 },
  { x: [1, 3, 32, 48], weight: [17, 3, 16, 16], stride: 16, padding: 0, bias: true },
  { x: [1, 37, 5, 3], weight: [19, 37, 1, 1], stride: 1, padding: 0, bias: true },
  { x: [2, 6, 7, 5], weight: [5, 6, 3, 3], stride: 1, padding: 1 },
  { x: [1, 4, 9, 7], weight: [3, 4, 2, 2], stride: 2, padding: 0, bias: true },
  { x: [1, 2, 6, 9], weight: [3, 2, 3, 5], stride: 3, padding: 2, bias: true },
  { x: [1, 1, 4, 4], weight: [1, 1, 4, 4], stride: 1000, padding: 0 },
];

/** y by the definition, in float64, with what each output position reads handed to `visit`. */
function walk({ x, weight, stride, padding }: Case, visit: (y: number, x: number, weight: number) => void): number[] {
  const [batch, channels, height, width] = x;
  const [out, , kernelHeight, kernelWidth] = weight;
  const outHeight = Math.floor((height + 2 * padding - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((width + 2 * padding - kernelWidth) / stride) + 1;
  let y = 0;
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < out; o++)
      for (let r = 0; r < outHeight; r++)
        for (let c = 0; c < outWidth; c++, y++)
          for (let i = 0; i < channels; i++)
            for (let u = 0; u < kernelHeight; u++)
              for (let v = 0; v < kernelWidth; v++) {
                const [row, column] = [r * stride + u - padding, c * stride + v - padding];
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                visit(y, ((n * channels + i) * height + row) * width + column, ((o * channels + i) * kernelHeight + u) * kernelWidth + v);
              }
  return [batch, out, outHeight, outWidth];
}

onEveryDevice('conv2d', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const one of cases)
      test(`agrees with float64 on ${dtype} [${one.x}], kernel [${one.weight}], stride ${one.stride}`, async () => {
        const [x, weight] = [randn(one.x, 1, dtype), randn(one.weight, 2, dtype)];
        const bias = one.bias ? randn([one.weight[0]], 3, dtype) : undefined;
        for (const given of [x, weight, bias]) if (given) given.requiresGrad = true;
        const y = conv2d(x, weight, { bias, stride: one.stride, padding: one.padding });
        const dy = randn(y.shape, 4, dtype);
        const [xs, weights, biases, dys] = await Promise.all([x, weight, bias ?? x, dy].map((given) => given.read()));
        const pixels = (y.shape[2] as number) * (y.shape[3] as number);
        const channelOf = (i: number) => Math.floor(i / pixels) % one.weight[0];
        const expected = Float64Array.from({ length: y.count }, (_, i) => (bias ? (biases![channelOf(i)] as number) : 0));
        const [dx, dweight, dbias] = [new Float64Array(x.count), new Float64Array(weight.count), new Float64Array(one.weight[0])];
        const shape = walk(one, (to, from, by) => {
          expected[to]! += (xs![from] as number) * (weights![by] as number);
          dx[from]! += (dys![to] as number) * (weights![by] as number);
          dweight[by]! += (dys![to] as number) * (xs![from] as number);
        });
        for (let i = 0; i < y.count; i++) dbias[channelOf(i)]! += dys![i] as number;
        assert.deepEqual([...y.shape], shape);
        const terms = weight.count / one.weight[0];
        await expectClose(y, expected, { terms });
        backward(y, dy);
        await expectClose(x.grad as Tensor, dx, { terms: weight.count });
        await expectClose(weight.grad as Tensor, dweight, { terms: y.count });
        if (bias) await expectClose(bias.grad as Tensor, dbias, { terms: y.count });
        for (const given of [x, weight, bias]) given?.grad?.dispose();
      });

  test('gradient agrees with central differences', () =>
    expectGradient((x, weight, bias) => conv2d(x, weight, { bias, stride: 2, padding: 1 }), [1, 2, 4, 3], [2, 2, 3, 2], [2]));

  test('takes empty batches, and channels that are none', async () => {
    const options = { bias: tensor([2, 3]) };
    assert.deepEqual([...conv2d(randn([0, 3, 4, 4], 1), randn([2, 3, 2, 2], 1), options).shape], [0, 2, 3, 3]);
    const x = randn([1, 0, 2, 2], 1);
    const weight = randn([2, 0, 2, 2], 1);
    const y = conv2d(x, weight, options);
    assert.deepEqual(Array.from(await y.read()), [2, 3]);
    const [emptyBatch, kernel] = [randn([0, 3, 4, 4], 1), randn([2, 3, 2, 2], 1)];
    kernel.requiresGrad = true;
    backward(conv2d(emptyBatch, kernel), randn([0, 2, 3, 3], 1));
    assert.ok((await (kernel.grad as Tensor).read()).every((value) => value === 0));
    kernel.grad?.dispose();
  });

  test('names the shape that does not fit', () => {
    const x = randn([1, 2, 4, 5], 1);
    const refuses = (call: () => unknown, message: string) => assert.throws(call, { name: 'ShapeError', message: `conv2d: ${message}` });
    refuses(() => conv2d(randn([2, 4, 5], 1), randn([3, 2, 2, 2], 1)), 'x is [2, 4, 5], expected [batch, in, height, width]');
    refuses(() => conv2d(x, randn([3, 2], 1)), 'weight is [3, 2], expected [out, in, kernelHeight, kernelWidth]');
    refuses(() => conv2d(x, randn([3, 4, 2, 2], 1)), 'weight is [3, 4, 2, 2], expected 2 along axis 1, the channels of x');
    refuses(() => conv2d(x, randn([3, 2, 2, 2], 1), { bias: randn([2], 1) }), 'bias is [2], expected [3], one value an output channel');
  });

  test('names the number that does not fit', () => {
    const x = randn([1, 2, 4, 5], 1);
    const refuses = (call: () => unknown, message: string) => assert.throws(call, { name: 'ArgumentError', message: `conv2d: ${message}` });
    refuses(() => conv2d(x, randn([3, 2, 2, 2], 1), { stride: 0 }), 'stride is 0, expected at least 1');
    refuses(() => conv2d(x, randn([3, 2, 2, 3], 1), { padding: 2 }), "padding is 2, expected 0 or more and below the kernel's sizes");
    refuses(() => conv2d(x, randn([3, 2, 5, 2], 1)), 'kernel is 5, expected 1 to 4, the size of x with padding along axis 2');
    refuses(() => conv2d(x, randn([3, 2, 2, 0], 1)), 'kernel is 0, expected 1 to 5, the size of x with padding along axis 3');
  });

  test('names the dtype that does not fit', () => {
    const refuses = (call: () => unknown, message: string) => assert.throws(call, { name: 'DtypeError', message: `conv2d: ${message}` });
    const x = randn([1, 1, 1, 1], 1);
    refuses(() => conv2d(tensor([1], [1, 1, 1, 1], 'u8'), x), 'x is u8, expected f32, bf16 or f16');
    refuses(() => conv2d(x, randn([1, 1, 1, 1], 1, 'bf16')), 'weight is bf16, expected f32, the dtype of x');
    refuses(() => conv2d(x, x, { bias: randn([1], 1, 'f16') }), 'bias is f16, expected f32, the dtype of x');
  });
});
