import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { nn, Scope, type Tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

class Pair extends nn.Module {
  readonly first = new nn.Linear(6, 4);
  readonly rest = [new nn.Linear(4, 4, { bias: false }), new nn.Linear(4, 3)];
  forward(x: Tensor): Tensor {
    return this.rest.reduce((y, layer) => layer.forward(y), this.first.forward(x));
  }
}

onEveryDevice('addLoraTo', () => {
  test('adapts any linear layer, begins as nothing, and is taken away again', async () => {
    using _scope = Scope.open();
    const model = new Pair().initialize(1);
    const x = randn([5, 6], 2);
    const before = await model.forward(x).read();
    assert.deepEqual(
      nn.addLoraTo(model, (key) => key !== 'rest.0', { rank: 2, alpha: 2, dropout: 0.5 }),
      ['first', 'rest.1'],
    );
    const layers = nn.loraLayers(model);
    assert.deepEqual([...layers.keys()], ['first', 'rest.1']);
    for (const layer of layers.values()) layer.resetUpdate(3);
    assert.deepEqual(
      [...model.stateDict().keys()].filter((key) => /lora|first/.test(key)),
      ['first.lora_A', 'first.lora_B', 'first.weight', 'first.bias', 'rest.1.lora_A', 'rest.1.lora_B'],
    );
    await expectClose(model.forward(x), before, { terms: 12, scale: 1 });
    for (const layer of layers.values()) layer.loadSome(new Map([['lora_B', randn(layer.loraB.shape, 4)]]));
    const trained = await model.forward(x).read();
    assert.notDeepEqual(trained, before);
    for (const layer of layers.values()) layer.dropoutSeed = 9;
    const dropped = await model.forward(x).read();
    assert.notDeepEqual(dropped, trained);
    assert.deepEqual(await model.forward(x).read(), dropped);
    nn.removeLora(model);
    assert.equal(nn.loraLayers(model).size, 0);
    assert.deepEqual(await model.forward(x).read(), before);
    model.dispose();
  });

  test('says what does not fit', () => {
    const model = new Pair();
    const says = (body: () => unknown, message: RegExp) => assert.throws(body, { name: 'ArgumentError', message });
    const options = { rank: 2, alpha: 4 };
    says(() => nn.addLoraTo(model, () => false, options), /^lora: no linear layer matches; there are first, rest\.0, rest\.1 \.\.\.$/);
    nn.addLoraTo(model, (key) => key === 'first', options);
    says(() => nn.addLoraTo(model, () => true, options), /^lora: first has LoRA already, expected none$/);
    says(() => nn.addLoraTo(model, (key) => key === 'rest.0', { rank: 0, alpha: 1 }), /^lora: rank is 0, expected a whole number above 0$/);
    says(() => nn.addLoraTo(model, (key) => key === 'rest.0', { rank: 1, alpha: Number.NaN }), /^lora: alpha is NaN, expected a number$/);
    says(() => nn.addLoraTo(model, (key) => key === 'rest.0', { rank: 1, alpha: 1, dropout: 1 }), /^lora: dropout is 1, expected 0 up to/);
    model.dispose();
  });
});
