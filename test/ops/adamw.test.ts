import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type AdamwOptions, adamw, type Dtype, rowsView, type Tensor, tensor } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { countOf, randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';

const zeros = (shape: readonly number[], dtype: Dtype = 'f32') => tensor(new Float32Array(countOf(shape)), shape, dtype);
const shapes = [[3, 5], [1], [70001], [0, 4], []];
const hyper = { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };

/** Three steps in float64 from the values as stored. */
function oracle(start: ArrayLike<number>, grads: ArrayLike<number>[]) {
  const { lr, beta1, beta2, eps, weightDecay } = hyper;
  const p = Float64Array.from(start);
  const [m, v] = [new Float64Array(p.length), new Float64Array(p.length)];
  for (const [index, grad] of grads.entries()) {
    const step = index + 1;
    for (let i = 0; i < p.length; i++) {
      const g = grad[i] as number;
      p[i]! -= lr * weightDecay * p[i]!;
      m[i] = beta1 * m[i]! + (1 - beta1) * g;
      v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
      p[i]! -= (lr * (m[i]! / (1 - beta1 ** step))) / (Math.sqrt(v[i]! / (1 - beta2 ** step)) + eps);
    }
  }
  return { p, m, v };
}

onEveryDevice('adamw', () => {
  for (const [dtype, gradDtype, withMasters] of [
    ['f32', 'f32', false],
    ['f32', 'bf16', true],
    ['bf16', 'bf16', true],
    ['bf16', 'f32', true],
    ['f16', 'f16', true],
  ] as const)
    test(`three steps agree with float64: params ${dtype}, grads ${gradDtype}${withMasters ? ', masters' : ''}`, async () => {
      const originals = shapes.map((shape, i) => randnArray(countOf(shape), i + 1));
      const params = shapes.map((shape, i) => randn(shape, i + 1, dtype));
      const masters = withMasters ? shapes.map((shape, i) => tensor(originals[i] as Float32Array, shape)) : undefined;
      const [expAvg, expAvgSq] = [shapes.map((shape) => zeros(shape)), shapes.map((shape) => zeros(shape))];
      const steps = [1, 2, 3].map((step) => shapes.map((shape, i) => randn(shape, 100 * step + i, gradDtype)));
      for (const [index, grads] of steps.entries()) adamw({ params, grads, expAvg, expAvgSq, masters, ...hyper, step: index + 1 });
      for (const [i, param] of params.entries()) {
        const grads = await Promise.all(steps.map((grads) => (grads[i] as Tensor).read()));
        const { p, m, v } = oracle(originals[i] as Float32Array, grads);
        // About ten roundings of f32 a step, of values up to 5.
        const within = (tensor: Tensor, wanted: Float64Array, store = 0) =>
          tensor
            .read()
            .then((values) =>
              assertWithin(values, wanted, (value) => 30 * epsilon.f32 * (1 + Math.abs(value)) + store * Math.abs(value), tensor),
            );
        await within(param, p, dtype === 'f32' ? 0 : epsilon[dtype]);
        await within(expAvg[i] as Tensor, m);
        await within(expAvgSq[i] as Tensor, v);
        if (masters) await within(masters[i] as Tensor, p);
      }
    });

  test('masters keep updates that bf16 alone would lose', async () => {
    const bits = (value: number) => new Uint16Array([new Uint32Array(new Float32Array([value]).buffer)[0]! >>> 16]);
    const [alone, kept, master] = [tensor(bits(1), [1], 'bf16'), tensor(bits(1), [1], 'bf16'), tensor([1])];
    const state = () => ({ grads: [tensor([1])], expAvg: [zeros([1])], expAvgSq: [zeros([1])] });
    const [first, second] = [state(), state()];
    for (let step = 1; step <= 20; step++) {
      adamw({ ...first, params: [alone], lr: 1e-3, step });
      adamw({ ...second, params: [kept], masters: [master], lr: 1e-3, step });
    }
    assert.equal(await alone.item(), 1);
    assert.ok(Math.abs((await master.item()) - 0.98) < 1e-5);
    assert.equal(await kept.item(), 0.98046875);
  });

  test('a norm that is not finite leaves everything as it was', async () => {
    for (const norm of [Number.NaN, Number.POSITIVE_INFINITY, 2]) {
      const [param, expAvg, expAvgSq] = [tensor([1, 2]), tensor([3, 4]), tensor([5, 6])];
      adamw({
        params: [param],
        grads: [tensor([Number.NaN, 1])],
        expAvg: [expAvg],
        expAvgSq: [expAvgSq],
        norm: tensor([norm], []),
        lr: 1,
        step: 1,
      });
      const values = [...(await param.read()), ...(await expAvg.read()), ...(await expAvgSq.read())];
      if (norm === 2) assert.ok(Number.isNaN(values[0]) && values[1] !== 2);
      else assert.deepEqual(values, [1, 2, 3, 4, 5, 6]);
    }
  });

  test('no tensors is no work', () => adamw({ params: [], grads: [], expAvg: [], expAvgSq: [], lr: 1, step: 1 }));

  test('names the argument that does not fit', () => {
    const right: AdamwOptions = { params: [zeros([2])], grads: [zeros([2])], expAvg: [zeros([2])], expAvgSq: [zeros([2])], lr: 1, step: 1 };
    const throws = (wrong: object, name: string, message: string) =>
      assert.throws(() => adamw({ ...right, ...wrong }), { name, message: `adamw: ${message}` });
    const i32 = tensor([1, 2], [2], 'i32');
    throws({ params: [i32] }, 'DtypeError', 'params[0] is i32, expected f32, bf16 or f16');
    throws({ grads: [] }, 'ArgumentError', 'grads is 0 tensors, expected 1, as many as params');
    throws({ grads: [zeros([3])] }, 'ShapeError', 'grads[0] is [3], expected [2], the shape of params[0]');
    throws({ grads: [i32] }, 'DtypeError', 'grads[0] is i32, expected f32, bf16 or f16');
    throws({ expAvg: [randn([2], 1, 'bf16')] }, 'DtypeError', 'expAvg[0] is bf16, expected f32');
    throws({ expAvgSq: [zeros([1])] }, 'ShapeError', 'expAvgSq[0] is [1], expected [2], the shape of params[0]');
    throws({ masters: [zeros([2]), zeros([2])] }, 'ArgumentError', 'masters is 2 tensors, expected 1, as many as params');
    throws({ expAvgSq: right.expAvg }, 'ArgumentError', 'expAvgSq[0] is in the memory of expAvg[0], expected memory of its own');
    const rows = zeros([3, 2]);
    const parts = [rowsView(rows, 0, 2), rowsView(rows, 1, 3)];
    const two = { grads: [zeros([2, 2]), zeros([2, 2])], expAvg: [zeros([2, 2]), zeros([2, 2])], expAvgSq: [zeros([2, 2]), zeros([2, 2])] };
    throws({ ...two, params: parts }, 'ArgumentError', 'params[1] is in the memory of params[0], expected memory of its own');
    throws({ norm: zeros([1]) }, 'ShapeError', 'norm is [1], expected [], one number');
    throws({ norm: tensor([1], [], 'i32') }, 'DtypeError', 'norm is i32, expected f32');
    throws({ lr: -1 }, 'ArgumentError', 'lr is -1.000000, expected a finite number from 0');
    throws({ beta1: 1 }, 'ArgumentError', 'beta1 is 1.000000, expected a number from 0 to below 1');
    throws({ beta2: -0.5 }, 'ArgumentError', 'beta2 is -0.500000, expected a number from 0 to below 1');
    throws({ eps: Number.NaN }, 'ArgumentError', 'eps is nan, expected a finite number from 0');
    throws({ weightDecay: Number.POSITIVE_INFINITY }, 'ArgumentError', 'weightDecay is inf, expected a finite number from 0');
    throws({ step: 0 }, 'ArgumentError', 'step is 0, expected at least 1, the number of the first step');
  });
});
