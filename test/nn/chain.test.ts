import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, memory, nn, relu, resetPeak, Scope, synchronize, type Tensor, tidy } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

const layer = (body: (x: Tensor) => Tensor) => ({ forward: body });

onEveryDevice('chain', (device) => {
  test('is one layer after another, and keeps its input', async () => {
    using _scope = Scope.open();
    const layers = [new nn.Linear(3, 4).initialize(1), layer(relu), new nn.Linear(4, 2).initialize(2)];
    const x = randn([5, 3], 1);
    const y = nn.chain(layers, x);
    const expected = layers.reduce((one, { forward }, i) => forward.call(layers[i], one), x);
    assert.deepEqual(await y.read(), await expected.read());
    assert.equal(nn.chain([], x), x);
    assert.equal(nn.chain([layer((one) => one)], x), x);
    assert.equal(x.disposed, false);
    for (const one of layers) if (one instanceof nn.Module) one.dispose();
  });

  test('gradients pass through', async () => {
    using _scope = Scope.open();
    const linear = new nn.Linear(3, 3).initialize(1).train(() => true);
    const y = nn.chain([linear, layer(relu), linear], randn([2, 3], 1));
    backward(y, randn([2, 3], 2));
    assert.ok((await linear.weight.grad!.read()).some((value) => value !== 0));
    for (const one of linear.parameters()) one.grad?.dispose();
    linear.dispose();
  });

  test('needs the memory of one layer, however many there are', async () => {
    await collectGarbage();
    const x = randn([1024, 64], 1);
    await synchronize();
    const bytes = 1024 * 64 * 4;
    const before = memory(device).liveBytes;
    resetPeak(device);
    const y = tidy(() => nn.chain(new Array(20).fill(layer((one: Tensor) => relu(relu(one)))), x));
    await synchronize();
    assert.ok(memory(device).peakBytes - before <= 4 * bytes, `${(memory(device).peakBytes - before) / bytes} tensors at once`);
    y.dispose();
    x.dispose();
  });
});
