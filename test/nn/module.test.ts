import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { backward, gelu, linear, memory, nn, relu, Scope, sum, synchronize, type Tensor, tensor, zeros } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { collectGarbage } from '../support/garbage';

class Mlp extends nn.Module {
  readonly fc1: nn.Linear;
  readonly fc2: nn.Linear;
  constructor(size: number) {
    super();
    this.fc1 = new nn.Linear(size, 4 * size);
    this.fc2 = new nn.Linear(4 * size, size, { bias: false });
  }
  forward(x: Tensor): Tensor {
    return this.fc2.forward(gelu(this.fc1.forward(x)));
  }
}

class Block extends nn.Module {
  protected override readonly keys = { preNorm: 'pre_layrnorm' };
  readonly preNorm = new nn.LayerNorm(3);
  readonly selfMlp = new Mlp(3);
  readonly layers = [new nn.RmsNorm(3), new nn.Linear(3, 3)];
  readonly projector = new nn.Sequential(new nn.Linear(3, 3), relu, new nn.Linear(3, 2));
}

const keys = [
  'pre_layrnorm.weight',
  'pre_layrnorm.bias',
  'self_mlp.fc1.weight',
  'self_mlp.fc1.bias',
  'self_mlp.fc2.weight',
  'layers.0.weight',
  'layers.1.weight',
  'layers.1.bias',
  'projector.0.weight',
  'projector.0.bias',
  'projector.2.weight',
  'projector.2.bias',
];

describe('Module', () => {
  test('names its parameters by the keys of checkpoints', () => {
    assert.deepEqual([...new Block().stateDict().keys()], keys);
  });

  test('costs no memory before it has values', async () => {
    await collectGarbage();
    const before = memory().liveBytes;
    const big = new nn.Linear(8192, 8192);
    await synchronize();
    assert.equal(memory().liveBytes, before);
    big.dispose();
  });

  test('load takes the tensors over, and a scope does not free them', async () => {
    const layer = new nn.Linear(2, 1);
    {
      using _scope = Scope.open();
      layer.load(
        new Map([
          ['weight', tensor([2, 3], [1, 2])],
          ['bias', tensor([1])],
        ]),
      );
    }
    using _scope = Scope.open();
    assert.equal(await layer.forward(tensor([10, 100], [1, 2])).item(), 321);
    layer.dispose();
    assert.equal(layer.weight.disposed, true);
  });

  test('load says what does not fit, and changes nothing', () => {
    using _scope = Scope.open();
    const layer = new nn.Linear(2, 1);
    const { weight } = layer;
    assert.throws(
      () =>
        layer.load(
          new Map([
            ['weight', zeros([2, 2])],
            ['bais', zeros([1])],
          ]),
        ),
      {
        name: 'CheckpointError',
        code: 'MGLMM_CHECKPOINT',
        message: 'the tensors do not fit the module:\n  missing: bias\n  unexpected: bais\n  misshapen: weight is [2, 2], expected [1, 2]',
      },
    );
    assert.equal(layer.weight, weight);
  });

  test('initialize depends on the seed alone', async () => {
    using _scope = Scope.open();
    const values = async (seed: number) => {
      const block = new Block().initialize(seed);
      const read = await Promise.all(block.parameters().map(async (one) => Array.from(await one.read())));
      block.dispose();
      return read;
    };
    const first = await values(7);
    assert.deepEqual(await values(7), first);
    assert.notDeepEqual((await values(8))[2], first[2]);
    assert.deepEqual(first[0], [1, 1, 1]);
    assert.deepEqual(first[1], [0, 0, 0]);
    const weight = first[2] as number[];
    assert.ok(weight.every((one) => Math.abs(one) <= 1 / Math.sqrt(3)) && new Set(weight).size > weight.length / 2);
  });

  test('train picks what gets gradients', async () => {
    using _scope = Scope.open();
    const mlp = new Mlp(3).initialize(1).train((key) => key.startsWith('fc2'));
    backward(sum(mlp.forward(randn([2, 3], 1))));
    assert.equal(mlp.fc1.weight.grad, undefined);
    assert.equal(mlp.fc2.weight.grad?.shape.join(), '3,12');
    mlp.fc2.weight.grad?.dispose();
    mlp.dispose();
  });

  test('pack keeps the results, and frees the rows', async () => {
    using _scope = Scope.open();
    const mlp = new Mlp(40).initialize(3);
    const x = randn([9, 40], 1);
    const expected = await mlp.forward(x).read();
    const rows = mlp.fc1.weight;
    mlp.pack();
    assert.equal(rows.disposed, true);
    assert.equal(mlp.fc1.weight.layout, 'packed');
    await expectClose(mlp.forward(x), expected, { terms: 160 });
    mlp.dispose();
  });
});

describe('layers', () => {
  test('Linear is linear() of its parameters', async () => {
    using _scope = Scope.open();
    const layer = new nn.Linear(5, 3).initialize(2);
    const x = randn([4, 5], 1);
    assert.deepEqual(await layer.forward(x).read(), await linear(x, layer.weight, layer.bias).read());
    layer.dispose();
  });

  test('Conv2d, ConvTranspose2d, LayerNorm2d and Embedding give the shapes they say', async () => {
    using _scope = Scope.open();
    const conv = new nn.Conv2d(3, 8, 4, { stride: 4, bias: false }).initialize(1);
    const up = new nn.ConvTranspose2d(8, 2, 2).initialize(2);
    const norm = new nn.LayerNorm2d(8).initialize(3);
    const table = new nn.Embedding(10, 6).initialize(4);
    const features = norm.forward(conv.forward(randn([1, 3, 8, 8], 1)));
    assert.equal(features.shape.join(), '1,8,2,2');
    assert.equal(up.forward(features).shape.join(), '1,2,4,4');
    assert.equal(table.forward(tensor([1, 9], [2], 'i32')).shape.join(), '2,6');
    await synchronize();
    for (const one of [conv, up, norm, table]) one.dispose();
  });

  test('LoraLinear begins as its base, keeps its keys, and merges into one', async () => {
    using _scope = Scope.open();
    const lora = new nn.LoraLinear(new nn.Linear(6, 4), { rank: 2, alpha: 4 }).initialize(5);
    assert.deepEqual([...lora.stateDict().keys()], ['lora_A', 'lora_B', 'weight', 'bias']);
    const x = randn([3, 6], 1);
    assert.deepEqual(await lora.forward(x).read(), await lora.base.forward(x).read());
    lora.load(new Map([...lora.stateDict(), ['lora_B', randn([4, 2], 2)]]));
    const merged = lora.merge();
    await expectClose(lora.forward(x), await merged.forward(x).read(), { terms: 10 });
    merged.dispose();
    lora.dispose();
  });
});
