import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { AdamW, add, backward, memory, mul, noGradients, scale, sum, synchronize, type Tensor, tensor, tidy } from '../../lib';
import { rounded } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

const parameter = (values: number[], dtype: 'f32' | 'bf16' = 'f32'): Tensor => {
  const leaf = rounded(Float32Array.from(values), [values.length], dtype);
  leaf.requiresGrad = true;
  return leaf;
};

onEveryDevice('AdamW', (device) => {
  test('finds the minimum of a parabola, through bf16 and f32 parameters alike', async () => {
    const parameters = { a: parameter([3, -2]), b: parameter([4, 5], 'bf16') };
    using optimizer = new AdamW(Object.entries(parameters), { maxNorm: Number.POSITIVE_INFINITY });
    for (let step = 0; step < 300; step++) {
      tidy(() => {
        for (const one of Object.values(parameters)) {
          const distance = scale(one, 1, -1);
          backward(sum(mul(distance, distance)));
        }
        optimizer.step({ lr: step < 200 ? 0.1 : 0.01 });
        optimizer.zeroGrad();
      });
    }
    for (const value of [...(await parameters.a.read()), ...(await parameters.b.read())]) assert.ok(Math.abs(value - 1) < 0.02, `${value}`);
    assert.deepEqual([...optimizer.state.keys()], ['a', 'b']);
    assert.equal(optimizer.state.get('a')?.master, undefined);
    assert.equal(optimizer.state.get('b')?.master?.dtype, 'f32');
    assert.equal(optimizer.state.get('b')?.step, 300);
  });

  test('gives the norm before clipping and clips to maxNorm', async () => {
    const one = parameter([0, 0]);
    using optimizer = new AdamW([['one', one]], { maxNorm: 0.5, betas: [0, 0] });
    one.grad = tensor([3, 4]);
    assert.equal(await optimizer.step({ lr: 1 }).item(), 5);
    assert.deepEqual(
      [...(await (one.grad as Tensor).read())].map((value) => Math.round(value * 1e4) / 1e4),
      [0.3, 0.4],
    );
    assert.deepEqual(
      [...(await one.read())].map((value) => Math.round(value * 1e4) / 1e4),
      [-1, -1],
    );
  });

  test('leaves what has no gradient as it is, and counts its steps apart', async () => {
    const [one, other] = [parameter([1]), parameter([1])];
    using optimizer = new AdamW([
      ['one', one],
      ['other', other],
    ]);
    one.grad = tensor([1]);
    optimizer.step({ lr: 0.5 });
    assert.equal(await other.item(), 1);
    other.grad = tensor([1]);
    optimizer.step({ lr: 0.5 });
    // The first step of Adam has the size of lr, however late it comes.
    assert.ok(Math.abs((await other.item()) - 0.5) < 1e-6);
    assert.deepEqual(
      [...optimizer.state.values()].map(({ step }) => step),
      [2, 1],
    );
    optimizer.zeroGrad();
    assert.equal(one.grad, undefined);
  });

  test('a gradient that is not finite changes no parameter', async () => {
    const one = parameter([1, 2]);
    using optimizer = new AdamW([['one', one]]);
    one.grad = tensor([Number.NaN, 1]);
    assert.equal(await optimizer.step({ lr: 1 }).item(), Number.NaN);
    assert.deepEqual([...(await one.read())], [1, 2]);
    assert.deepEqual([...((await optimizer.state.get('one')?.expAvg.read()) ?? [])], [0, 0]);
    optimizer.zeroGrad();
  });

  test('its state outlives scopes and is freed by dispose', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    const one = parameter(new Array(1000).fill(1), 'bf16');
    const optimizer = tidy(() => {
      const made = new AdamW([['one', one]]);
      return { made };
    }).made;
    one.grad = noGradients(() => add(one, one));
    tidy(() => void optimizer.step({ lr: 0.1 }));
    await one.read();
    optimizer.zeroGrad();
    optimizer.dispose();
    one.dispose();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('names the argument that does not fit', () => {
    const one = parameter([1]);
    assert.throws(
      () =>
        new AdamW([
          ['a', one],
          ['b', one],
        ]),
      {
        name: 'ArgumentError',
        message: 'AdamW: b is the tensor of a, expected each parameter once',
      },
    );
    assert.throws(() => new AdamW([], { maxNorm: 0 }), {
      name: 'ArgumentError',
      message: 'AdamW: maxNorm is 0, expected a number above 0, or Infinity',
    });
  });
});
