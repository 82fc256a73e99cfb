import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  add,
  addRmsNorm,
  backward,
  copy,
  gelu,
  linear,
  memory,
  nn,
  quantize,
  quantizedLinear,
  relu,
  Scope,
  sum,
  synchronize,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
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

onEveryDevice('Module', (device) => {
  test('names its parameters by the keys of checkpoints', () => {
    assert.deepEqual([...new Block().stateDict().keys()], keys);
  });

  test('costs no memory before it has values', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    const big = new nn.Linear(8192, 8192);
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
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

  test('pack keeps the results, and on the CPU frees the rows', async () => {
    using _scope = Scope.open();
    const mlp = new Mlp(40).initialize(3);
    const x = randn([9, 40], 1);
    const expected = await mlp.forward(x).read();
    const rows = mlp.fc1.weight;
    mlp.pack();
    assert.deepEqual([rows.disposed, mlp.fc1.weight.layout], device === 'cpu' ? [true, 'packed'] : [false, 'rows']);
    await expectClose(mlp.forward(x), expected, { terms: 160 });
    mlp.dispose();
  });
});

onEveryDevice('quantize', (device) => {
  const model = () => {
    const [first, last] = [new nn.Linear(130, 70), new nn.Linear(70, 33, { bias: false })];
    return { first, last, whole: new nn.Sequential(first, relu, last).initialize(4) };
  };

  for (const kind of ['int8', 'int4'] as const) {
    test(`holds the weights that match in ${kind}, and frees the whole ones`, async () => {
      await collectGarbage();
      using _scope = Scope.open();
      const { first, last, whole } = model();
      const x = randn([3, 130], 1);
      const expected = linear(relu(quantizedLinear(x, quantize(first.weight, kind), first.bias)), last.weight);
      const before = first.weight;
      whole.quantize(kind, (key) => key === '0.weight');
      assert.deepEqual([first.quantization, last.quantization, before.disposed], [kind, undefined, true]);
      assert.deepEqual(await whole.forward(x).read(), await expected.read());
      assert.deepEqual([...whole.stateDict().keys()], ['0.weight', '0.bias', '2.weight']);
      whole.quantize(kind).quantize(kind).pack();
      assert.equal(last.quantization, kind);
      whole.dispose();
    });
  }

  test('gives its memory back, and takes new weights', async () => {
    await collectGarbage();
    await synchronize();
    const before = memory(device).liveBytes;
    const scope = Scope.open();
    const { whole } = model();
    whole.quantize('int8');
    await assert.rejects(whole.stateDict().get('0.weight')?.read() as Promise<unknown>, { message: 'read: the tensor was never written' });
    const { first, last } = model();
    const [weight, bias, other] = [first.weight, first.bias as Tensor, last.weight].map((one) => copy(one)) as [Tensor, Tensor, Tensor];
    whole.load(
      new Map([
        ['0.weight', weight],
        ['0.bias', bias],
        ['2.weight', other],
      ]),
    );
    const x = randn([2, 130], 2);
    assert.deepEqual(await whole.forward(x).read(), await last.forward(relu(first.forward(x))).read());
    for (const one of [first, last]) one.dispose();
    whole.quantize('int4').dispose();
    scope[Symbol.dispose]();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('keeps gradients flowing through what is not trained, and refuses what is', async () => {
    using _scope = Scope.open();
    const { first, whole } = model();
    const base = new nn.LoraLinear(first, { rank: 2, alpha: 4 });
    base.load(new Map([...first.stateDict(), ['lora_A', randn([2, 130], 1)], ['lora_B', randn([70, 2], 2)]]));
    whole.quantize('int8');
    assert.equal(base.base.quantization, 'int8');
    base.loraA.requiresGrad = true;
    backward(sum(base.forward(randn([2, 130], 3))));
    assert.deepEqual(base.loraA.grad?.shape, [2, 130]);
    base.loraA.grad?.dispose();
    assert.throws(() => base.merge(), {
      name: 'ArgumentError',
      message: 'merge: the base is held in int8, expected its whole weight; merge before quantize',
    });
    base.dispose();
    const { whole: trained } = model();
    trained.train(() => true);
    assert.throws(() => trained.quantize('int4'), { name: 'GradientError' });
    trained.dispose();
  });
});

onEveryDevice('layers', () => {
  test('Linear is linear() of its parameters', async () => {
    using _scope = Scope.open();
    const layer = new nn.Linear(5, 3).initialize(2);
    const x = randn([4, 5], 1);
    assert.deepEqual(await layer.forward(x).read(), await linear(x, layer.weight, layer.bias).read());
    layer.dispose();
  });

  test('a residual is added to Linear, quantized too, and to LoraLinear', async () => {
    using _scope = Scope.open();
    const [x, residual] = [randn([4, 6], 1), randn([4, 3], 2)];
    const lora = new nn.LoraLinear(new nn.Linear(6, 3).initialize(3), { rank: 2, alpha: 4 }).initialize(4);
    lora.load(new Map([...lora.stateDict(), ['lora_B', randn([3, 2], 5)]]));
    const layers = [new nn.Linear(6, 3).initialize(6), new nn.Linear(6, 3).initialize(6).quantize('int8'), lora];
    for (const layer of layers) await expectClose(layer.forward(x, residual), await add(layer.forward(x), residual).read(), { terms: 8 });
    for (const layer of layers) layer.dispose();
  });

  test('RmsNorm of a sum is addRmsNorm() of its weight', async () => {
    using _scope = Scope.open();
    const norm = new nn.RmsNorm(5, { eps: 1e-3 });
    norm.load(new Map([['weight', randn([5], 1)]]));
    const [x, residual] = [randn([4, 5], 2), randn([4, 5], 3)];
    const [made, expected] = [norm.forwardSum(x, residual), addRmsNorm(x, residual, norm.weight, 1e-3)];
    assert.deepEqual(await made.sum.read(), await expected.sum.read());
    assert.deepEqual(await made.y.read(), await expected.y.read());
    norm.dispose();
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
