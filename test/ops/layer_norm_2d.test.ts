import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, layerNorm2d, permute, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { countOf, randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';
import { normInFloat64 } from '../support/norm';

/** Channels last, where a pixel is a row. */
const rows = (x: Tensor) => permute(x, [0, 2, 3, 1]).read();

onEveryDevice('layerNorm2d', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1, 1, 1, 1],
      [2, 8, 5, 3],
      [1, 33, 13, 29],
      [3, 64, 16, 16],
      [1, 265, 3, 7],
      [0, 3, 2, 2],
      [2, 3, 0, 2],
      [2, 0, 3, 2],
    ])
      test(`agrees with float64 on ${dtype} [${shape}]`, async () => {
        const channels = shape[1] as number;
        const [x, weight, bias] = [randn(shape, 1, dtype), randn([channels], 2, dtype), randn([channels], 4, dtype)];
        const dy = randn(shape, 3, dtype);
        for (const leaf of [x, weight, bias]) leaf.requiresGrad = true;
        const y = layerNorm2d(x, weight, bias);
        const expected = normInFloat64(await rows(x), await rows(dy), await weight.read(), await bias.read(), 1e-6);
        await expectClose(permute(y, [0, 2, 3, 1]), expected.y, { terms: Math.max(channels, 1) });
        backward(y, dy);
        const pixels = countOf(shape) / Math.max(channels, 1);
        await expectClose(permute(x.grad as Tensor, [0, 2, 3, 1]), expected.dx, {
          terms: Math.max(channels, 1),
          scale: channels === 1 ? 1e3 : 10,
        });
        await expectClose(weight.grad as Tensor, expected.dweight, { terms: Math.max(pixels, 1), scale: 10 });
        await expectClose(bias.grad as Tensor, expected.dbias, { terms: Math.max(pixels, 1), scale: 10 });
        for (const leaf of [x, weight, bias]) leaf.grad?.dispose();
      });

  test('gradient agrees with central differences', () =>
    expectGradient((x, weight, bias) => layerNorm2d(x, weight, bias), [2, 3, 2, 2], [3], [3]));

  test('names the argument that does not fit', () => {
    const [x, weight] = [randn([1, 4, 2, 2], 1), randn([4], 1)];
    assert.throws(() => layerNorm2d(tensor([1], [1], 'i32'), weight, weight), {
      name: 'DtypeError',
      message: 'layerNorm2d: x is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => layerNorm2d(randn([2, 2], 1), weight, weight), {
      name: 'ShapeError',
      message: 'layerNorm2d: x is [2, 2], expected [batch, channels, height, width]',
    });
    assert.throws(() => layerNorm2d(x, randn([5], 1), weight), {
      name: 'ShapeError',
      message: 'layerNorm2d: weight is [5], expected [4], the channels of x',
    });
    assert.throws(() => layerNorm2d(x, randn([4], 1, 'bf16'), weight), {
      name: 'DtypeError',
      message: 'layerNorm2d: weight is bf16, expected f32, the dtype of x',
    });
    assert.throws(() => layerNorm2d(x, weight, randn([3], 1)), {
      name: 'ShapeError',
      message: 'layerNorm2d: bias is [3], expected [4], the shape of weight',
    });
    assert.throws(() => layerNorm2d(x, weight, weight, Number.NaN), {
      name: 'ArgumentError',
      message: 'layerNorm2d: eps is nan, expected a finite number above 0',
    });
  });
});
