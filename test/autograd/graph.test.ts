import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  add,
  backward,
  GradientError,
  linear,
  memory,
  mul,
  noGradients,
  ones,
  recompute,
  Scope,
  scale,
  swiglu,
  synchronize,
  type Tensor,
  tensor,
  tidy,
} from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

const leaf = (...values: number[]): Tensor => {
  const made = tensor(values);
  made.requiresGrad = true;
  return made;
};
const gradient = async (of: Tensor) => Array.from(await (of.grad as Tensor).read());

onEveryDevice('backward', (device) => {
  test('adds up over every use of a leaf, and over calls', async () => {
    using _scope = Scope.open();
    const [x, w] = [leaf(2, 3), tensor([10, 20])];
    const y = add(mul(x, w), add(x, x));
    backward(y, tensor([1, 1]));
    assert.deepEqual(await gradient(x), [12, 22]);
    backward(mul(x, w), tensor([1, 1]));
    assert.deepEqual(await gradient(x), [22, 42]);
    x.grad?.dispose();
  });

  test('one upstream gradient may go many ways', async () => {
    using _scope = Scope.open();
    const [a, b] = [leaf(1), leaf(2)];
    const sum = add(add(a, b), add(b, a));
    const y = add(sum, sum);
    backward(y);
    assert.deepEqual([...(await gradient(a)), ...(await gradient(b))], [4, 4]);
    a.grad?.dispose();
    b.grad?.dispose();
  });

  test('walks a diamond once, in order', async () => {
    using _scope = Scope.open();
    const x = leaf(3);
    let y = x;
    for (let i = 0; i < 30; i++) y = add(mul(y, tensor([0.5])), mul(y, tensor([0.5])));
    backward(y);
    assert.deepEqual(await gradient(x), [1]);
    x.grad?.dispose();
  });

  test('what scopes free in between is still there for it', async () => {
    using _scope = Scope.open();
    const [x, up] = [leaf(1, 2), tensor([3, 4])];
    const y = tidy(() =>
      mul(
        tidy(() => mul(x, up)),
        up,
      ),
    );
    backward(y, tensor([1, 1]));
    assert.deepEqual(await gradient(x), [9, 16]);
    x.grad?.dispose();
  });

  test('frees the graph as it goes, and with the outermost scope when it never runs', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    {
      using _scope = Scope.open();
      const x = leaf(1, 2);
      backward(swiglu(swiglu(x, x), x), tensor([1, 1]));
      x.grad?.dispose();
      swiglu(swiglu(x, x), x);
    }
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('says what it cannot do', () => {
    using _scope = Scope.open();
    const x = leaf(1, 2);
    assert.throws(() => backward(tensor([1])), {
      name: 'GradientError',
      message: 'backward: loss was not computed from a tensor that requires a gradient',
    });
    assert.throws(() => backward(swiglu(x, x)), {
      name: 'GradientError',
      message: 'backward: loss is [2], expected one element, or a gradient of its shape',
    });
    const y = mul(x, x);
    backward(y, tensor([1, 1]));
    assert.throws(
      () => backward(y, tensor([1, 1])),
      (error) => error instanceof GradientError && /graph was released/.test(error.message),
    );
    x.grad?.dispose();
  });

  test('records nothing inside noGradients, nor for tensors that require none', () => {
    using _scope = Scope.open();
    const x = leaf(1);
    assert.equal(noGradients(() => mul(x, x)).requiresGrad, false);
    assert.equal(mul(tensor([1]), tensor([2])).requiresGrad, false);
    assert.equal(mul(x, tensor([2])).requiresGrad, true);
  });
});

onEveryDevice('what is kept for backward', (device) => {
  test('of a linear layer is x only where its weight is trained', async () => {
    using _scope = Scope.open();
    const [x, weight] = [randn([256, 1024], 1), randn([8, 1024], 2)];
    x.requiresGrad = true;
    for (const trained of [false, true]) {
      weight.requiresGrad = trained;
      await collectGarbage();
      const before = memory(device).liveBytes;
      const y = tidy(() => linear(scale(x, 2), weight));
      await synchronize();
      assert.equal(memory(device).liveBytes - before, 4 * (y.count + (trained ? x.count : 0)));
      backward(y, ones([256, 8]));
      x.grad?.dispose();
      x.grad = undefined;
    }
  });
});

onEveryDevice('recompute', (device) => {
  const step = async (wrap: typeof recompute) => {
    using _scope = Scope.open();
    const [x, w] = [randn([5, 7], 1), randn([5, 7], 2)];
    x.requiresGrad = w.requiresGrad = true;
    let y = x;
    for (let i = 0; i < 3; i++) y = wrap((h) => swiglu(add(h, w), mul(h, w)), y);
    backward(y, randn([5, 7], 3));
    const result = { y: await y.read(), dx: await (x.grad as Tensor).read(), dw: await (w.grad as Tensor).read() };
    x.grad?.dispose();
    w.grad?.dispose();
    return result;
  };

  test('gives the same bits as keeping everything', async () => {
    const kept = await step((body, ...inputs) => body(...inputs));
    assert.deepEqual(await step(recompute), kept);
  });

  test('trains parameters of a body whose input is no leaf', async () => {
    using _scope = Scope.open();
    const w = leaf(2, 3);
    backward(
      recompute((x) => mul(x, w), tensor([5, 7])),
      tensor([1, 1]),
    );
    assert.deepEqual(await gradient(w), [5, 7]);
    w.grad?.dispose();
  });

  test('keeps no inner tensor between forward and backward', async () => {
    using _scope = Scope.open();
    const x = randn([1 << 16], 1);
    x.requiresGrad = true;
    const held = async (wrap: typeof recompute) => {
      using _inner = Scope.open();
      await collectGarbage();
      const before = memory(device).liveBytes;
      let y = x;
      for (let i = 0; i < 4; i++) y = wrap((h) => swiglu(swiglu(swiglu(h, x), x), x), y);
      await synchronize();
      return memory(device).liveBytes - before;
    };
    const size = 4 << 16;
    assert.ok((await held((body, ...inputs) => body(...inputs))) >= 12 * size);
    assert.ok((await held(recompute)) <= 5 * size);
  });
});
