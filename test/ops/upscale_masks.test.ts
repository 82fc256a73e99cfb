import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type Tensor, tensor, type UpscaleWeights, upscaleMasks } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { erf } from '../support/erf';
import { expectGradient } from '../support/gradient';

interface Sizes {
  masks: number;
  height: number;
  width: number;
  dim: number;
  mid: number;
  channels: number;
  outputs: number;
}
type Dtype = 'f32' | 'bf16' | 'f16';

function inputs({ masks, height, width, dim, mid, channels, outputs }: Sizes, dtype: Dtype = 'f32') {
  const weights: UpscaleWeights = {
    weight1: randn([dim, mid, 2, 2], 2, dtype),
    bias1: randn([mid], 3, dtype),
    normWeight: randn([mid], 4, dtype),
    normBias: randn([mid], 5, dtype),
    weight2: randn([mid, channels, 2, 2], 6, dtype),
    bias2: randn([channels], 7, dtype),
  };
  return { x: randn([masks, height * width, dim], 1, dtype), weights, hyper: randn([masks, outputs, channels], 8, dtype) };
}

const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** The masks in float64; `spread`: how far each moves when the channels between the convolutions are off by their own size. */
async function inFloat64(sizes: Sizes, x: Tensor, weights: UpscaleWeights, hyper: Tensor) {
  const { masks, height, width, dim, mid, channels, outputs } = sizes;
  const read = async (one: Tensor) => Array.from(await one.read());
  const [xs, hypers] = [await read(x), await read(hyper)];
  const [w1, b1, nw, nb] = [
    await read(weights.weight1),
    await read(weights.bias1),
    await read(weights.normWeight),
    await read(weights.normBias),
  ];
  const [w2, b2] = [await read(weights.weight2), await read(weights.bias2)];
  const count = masks * outputs * height * width * 16;
  const [values, spread] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    const [column, row] = [i % (4 * width), Math.floor(i / (4 * width)) % (4 * height)];
    const output = Math.floor(i / (16 * width * height));
    const mask = Math.floor(output / outputs);
    const token = Math.floor(row / 4) * width + Math.floor(column / 4);
    const outer = (Math.floor(row / 2) % 2) * 2 + (Math.floor(column / 2) % 2);
    const inner = (row % 2) * 2 + (column % 2);
    const first = b1.map((bias, m) => {
      let sum = bias;
      for (let k = 0; k < dim; k++) sum += xs[(mask * height * width + token) * dim + k]! * w1[(k * mid + m) * 4 + outer]!;
      return sum;
    });
    const mean = first.reduce((sum, value) => sum + value, 0) / mid;
    const variance = first.reduce((sum, value) => sum + (value - mean) ** 2, 0) / mid;
    const normed = first.map((value, m) => gelu(((value - mean) / Math.sqrt(variance + 1e-6)) * nw[m]! + nb[m]!));
    for (let c = 0; c < channels; c++) {
      const terms = normed.map((value, m) => value * w2[(m * channels + c) * 4 + inner]!);
      const by = hypers[output * channels + c]!;
      values[i]! += by * gelu(terms.reduce((sum, term) => sum + term, b2[c]!));
      spread[i]! += Math.abs(by) * Math.sqrt(terms.reduce((sum, term) => sum + term * term, 0));
    }
  }
  return { values, spread };
}

onEveryDevice('upscaleMasks', () => {
  const cases: Sizes[] = [
    { masks: 1, height: 1, width: 1, dim: 1, mid: 2, channels: 1, outputs: 1 },
    { masks: 2, height: 5, width: 7, dim: 5, mid: 3, channels: 5, outputs: 3 },
    { masks: 1, height: 9, width: 9, dim: 40, mid: 10, channels: 6, outputs: 1 },
    { masks: 2, height: 8, width: 8, dim: 64, mid: 36, channels: 18, outputs: 2 },
    // SAM's sizes between, on tensor cores; 16 pixels that lie in one mask, and in two.
    { masks: 2, height: 4, width: 5, dim: 16, mid: 64, channels: 32, outputs: 1 },
    { masks: 3, height: 3, width: 1, dim: 5, mid: 64, channels: 4, outputs: 3 },
  ];
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const sizes of cases)
      test(`agrees with float64 in ${dtype} on ${Object.values(sizes)}`, async () => {
        const { x, weights, hyper } = inputs(sizes, dtype);
        const y = upscaleMasks(x, weights, hyper, { width: sizes.width });
        assert.deepEqual([...y.shape], [sizes.masks, sizes.outputs, 4 * sizes.height, 4 * sizes.width]);
        const { values, spread } = await inFloat64(sizes, x, weights, hyper);
        // The operand of the second product may be rounded to the dtype of x; few channels may nearly cancel in the norm.
        const terms = 4 * Math.sqrt(sizes.dim + sizes.mid + sizes.channels) * epsilon.f32 * 64;
        let at = 0;
        assertWithin(
          await y.read(),
          values,
          (wanted) => {
            const allowed = (terms + (dtype === 'f32' ? 0 : epsilon[dtype])) * spread[at]! + epsilon[dtype] * Math.abs(wanted);
            at++;
            return allowed + 1e-6;
          },
          y,
        );
      });

  test('is what its other ops make of it where a gradient is recorded', async () => {
    const sizes = cases[1]!;
    const { x, weights, hyper } = inputs(sizes);
    const alone = upscaleMasks(x, weights, hyper, { width: sizes.width });
    x.requiresGrad = true;
    const composed = upscaleMasks(x, weights, hyper, { width: sizes.width });
    assert.ok(composed.requiresGrad);
    assertWithin(await composed.read(), await alone.read(), (wanted) => 1e-4 + 1e-4 * Math.abs(wanted), composed);
  });

  test('gradient agrees with central differences', () =>
    expectGradient(
      (x, weight1, bias1, normWeight, normBias, weight2, bias2, hyper) =>
        upscaleMasks(x, { weight1, bias1, normWeight, normBias, weight2, bias2 }, hyper, { width: 2 }),
      [1, 2, 2],
      [2, 3, 2, 2],
      [3],
      [3],
      [3],
      [3, 2, 2, 2],
      [2],
      [1, 2, 2],
    ));

  test('takes no masks, no tokens, no outputs, and sizes of 0 between', async () => {
    const sizes = { masks: 2, height: 2, width: 3, dim: 4, mid: 3, channels: 2, outputs: 2 };
    for (const none of ['masks', 'height', 'outputs', 'channels', 'mid', 'dim']) {
      const { x, weights, hyper } = inputs({ ...sizes, [none]: 0 });
      const y = upscaleMasks(x, weights, hyper, { width: 3 });
      const values = await y.read();
      assert.equal(values.length, y.count);
      if (none === 'channels') assert.ok(values.every((value) => value === 0));
    }
  });

  test('names what does not fit', () => {
    const sizes = { masks: 2, height: 2, width: 3, dim: 4, mid: 3, channels: 2, outputs: 1 };
    const { x, weights, hyper } = inputs(sizes);
    const refuses = (
      changes: { x?: Tensor; hyper?: Tensor; width?: number; eps?: number } & Partial<UpscaleWeights>,
      name: string,
      message: string,
    ) => {
      const { width = 3, eps, x: given = x, hyper: by = hyper, ...others } = changes;
      assert.throws(() => upscaleMasks(given, { ...weights, ...others }, by, { width, eps }), {
        name,
        message: `upscaleMasks: ${message}`,
      });
    };
    refuses({ x: randn([2], 1) }, 'ShapeError', 'x is [2], expected [masks, tokens, dim]');
    refuses({ x: tensor([1], [1, 1, 1], 'u8') }, 'DtypeError', 'x is u8, expected f32, bf16 or f16');
    refuses({ weight1: randn([4], 1) }, 'ShapeError', 'weight1 is [4], expected [in, out, 2, 2]');
    refuses({ weight1: randn([4, 3, 2, 3], 1) }, 'ShapeError', 'weight1 is [4, 3, 2, 3], expected [4, 3, 2, 2], as many inputs as x has');
    refuses({ weight1: randn([4, 3, 2, 2], 1, 'f16') }, 'DtypeError', 'weight1 is f16, expected f32, the dtype of x');
    for (const name of ['bias1', 'normWeight', 'normBias']) {
      refuses({ [name]: randn([4], 1) }, 'ShapeError', `${name} is [4], expected [3], one value an output of weight1`);
      refuses({ [name]: randn([3], 1, 'bf16') }, 'DtypeError', `${name} is bf16, expected f32, the dtype of x`);
    }
    refuses(
      { weight2: randn([4, 2, 2, 2], 1) },
      'ShapeError',
      'weight2 is [4, 2, 2, 2], expected [3, 2, 2, 2], as many inputs as weight1 has outputs',
    );
    refuses({ bias2: randn([4], 1) }, 'ShapeError', 'bias2 is [4], expected [2], one value an output of weight2');
    refuses({ hyper: randn([2, 2], 1) }, 'ShapeError', 'hyper is [2, 2], expected [masks, outputs, channels]');
    refuses({ hyper: randn([1, 1, 2], 1) }, 'ShapeError', 'hyper is [1, 1, 2], expected [2, 1, 2], the masks of x, the outputs of weight2');
    refuses({ width: 0 }, 'ArgumentError', 'width is 0, expected at least 1');
    refuses({ width: 4 }, 'ArgumentError', 'width is 4, expected a divisor of the 6 tokens');
    refuses({ eps: 0 }, 'ArgumentError', 'eps is 0, expected a finite number above 0');
    refuses({ x: randn([0, 2 ** 45, 4], 1), hyper: randn([0, 1, 2], 1), width: 4 }, 'ShapeError', 'the result has more than 2^48 elements');
  });
});
