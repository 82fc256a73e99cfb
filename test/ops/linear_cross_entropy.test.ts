import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  backward,
  crossEntropy,
  type Dtype,
  linear,
  linearCrossEntropy,
  memory,
  pack,
  randomNormal,
  resetPeak,
  synchronize,
  type Tensor,
  tensor,
} from '../../lib';
import { run } from '../../lib/autograd/run';
import { assertWithin, epsilon } from '../support/close';
import { countOf, randn, randnArray, rounded } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { expectGradient } from '../support/gradient';

interface Given {
  hidden: ArrayLike<number>;
  weight: ArrayLike<number>;
  labels: Int32Array;
  dim: number;
}

/** Mean loss and its gradients in float64; a negative label has none. */
function oracle({ hidden, weight, labels, dim }: Given) {
  const vocab = weight.length / dim;
  const valid = labels.filter((label) => label >= 0).length;
  const [dhidden, dweight] = [new Float64Array(hidden.length), new Float64Array(weight.length)];
  let total = 0;
  labels.forEach((label, row) => {
    if (label < 0) return;
    const logits = Float64Array.from({ length: vocab }, (_, v) => {
      let sum = 0;
      for (let i = 0; i < dim; i++) sum += (hidden[row * dim + i] as number) * (weight[v * dim + i] as number);
      return sum;
    });
    const whole = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    total += whole - (logits[label] as number);
    logits.forEach((logit, v) => {
      const gradient = (Math.exp(logit - whole) - Number(v === label)) / valid;
      for (let i = 0; i < dim; i++) {
        dhidden[row * dim + i]! += gradient * (weight[v * dim + i] as number);
        dweight[v * dim + i]! += gradient * (hidden[row * dim + i] as number);
      }
    });
  });
  return { loss: total / valid, valid, dhidden, dweight };
}

const leafOf = (values: Float32Array, shape: number[], dtype: Dtype): Tensor => {
  const leaf = rounded(values, shape, dtype);
  leaf.requiresGrad = true;
  return leaf;
};
const small = (shape: number[], seed: number) => randnArray(countOf(shape), seed).map((value) => 0.3 * value);

onEveryDevice('linearCrossEntropy', () => {
  test('holds the gradient of a large weight once', async () => {
    const [tokens, dim, vocab] = [8, 1024, 4096];
    const [hidden, weight] = [
      randomNormal([tokens, dim], { seed: 1, dtype: 'bf16' }),
      randomNormal([vocab, dim], { seed: 2, dtype: 'bf16' }),
    ];
    for (const leaf of [hidden, weight]) leaf.requiresGrad = true;
    const labels = tensor(Int32Array.from({ length: tokens }, (_, row) => row));
    await collectGarbage();
    resetPeak(weight.device);
    const before = memory(weight.device).liveBytes;
    backward(linearCrossEntropy(hidden, weight, labels).loss);
    await synchronize();
    assert.ok(
      memory(weight.device).peakBytes - before < 1.5 * 2 * dim * vocab,
      `${memory(weight.device).peakBytes - before} bytes for a gradient of ${2 * dim * vocab}`,
    );
  });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [tokens, dim, vocab, ignored] of [
      [1, 1, 1, 0],
      [7, 33, 255, 3],
      [20, 16, 517, 0],
    ] as const)
      test(`loss and gradients agree with float64 on ${dtype}: ${tokens} tokens, dim ${dim}, vocab ${vocab}`, async () => {
        const hidden = leafOf(small([tokens, dim], 1), [tokens, dim], dtype);
        const weight = leafOf(small([vocab, dim], 2), [vocab, dim], dtype);
        const labels = Int32Array.from({ length: tokens }, (_, row) => (row % 2 === 1 && row < 2 * ignored ? -100 : (row * 7919) % vocab));
        const wanted = oracle({ hidden: await hidden.read(), weight: await weight.read(), labels, dim });
        const { loss, count } = linearCrossEntropy(hidden, weight, tensor(labels));
        assert.equal(await count.item(), wanted.valid);
        // A logit is rounded to the dtype: an error of half a step of the largest, about 4, in each row's loss and probabilities.
        const logitError = 2 * epsilon[dtype] + 64 * epsilon.f32;
        assertWithin(await loss.read(), [wanted.loss], () => logitError, loss);
        backward(loss, tensor([1], []));
        for (const [leaf, expected] of [
          [hidden, wanted.dhidden],
          [weight, wanted.dweight],
        ] as const) {
          const gradient = leaf.grad as Tensor;
          const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1 / wanted.valid);
          assertWithin(await gradient.read(), expected, (value) => 2 * logitError * largest + epsilon[dtype] * Math.abs(value), gradient);
          gradient.dispose();
        }
      });

  test('several chunks give what one would: logits beyond 64 MiB', async () => {
    const [tokens, dim, vocab] = [40, 1, 300_000];
    const hidden = leafOf(small([tokens, dim], 1), [tokens, dim], 'f32');
    const weight = leafOf(small([vocab, dim], 2), [vocab, dim], 'f32');
    const labels = tensor(Int32Array.from({ length: tokens }, (_, row) => (row * 7919) % vocab));
    const losses: Tensor[] = [];
    const gradients: [Tensor, Tensor][] = [];
    for (const loss of [linearCrossEntropy(hidden, weight, labels).loss, crossEntropy(linear(hidden, weight), labels).loss]) {
      losses.push(loss);
      backward(loss, tensor([1], []));
      gradients.push([hidden.grad as Tensor, weight.grad as Tensor]);
      [hidden.grad, weight.grad] = [undefined, undefined];
    }
    const [fused, apart] = losses as [Tensor, Tensor];
    assertWithin(await fused.read(), await apart.read(), (value) => 16 * epsilon.f32 * value, fused);
    for (const which of [0, 1] as const) {
      const [ours, theirs] = [gradients[0]?.[which] as Tensor, gradients[1]?.[which] as Tensor];
      assertWithin(await ours.read(), await theirs.read(), (value) => 64 * epsilon.f32 * (Math.abs(value) + 1 / tokens), ours);
      ours.dispose();
      theirs.dispose();
    }
  });

  test('shift, sum, ignoreIndex and an upstream gradient agree with crossEntropy(linear())', async () => {
    const options = { shift: true, reduction: 'sum', ignoreIndex: 0 } as const;
    const labels = tensor([9, 1, 0, 3, 2, 0, 7, 8], [2, 4], 'i32');
    const results: number[][] = [];
    for (const fused of [true, false]) {
      const [hidden, weight] = [leafOf(small([2, 4, 5], 1), [2, 4, 5], 'f32'), leafOf(small([11, 5], 2), [11, 5], 'f32')];
      const { loss, count } = fused
        ? linearCrossEntropy(hidden, weight, labels, options)
        : crossEntropy(linear(hidden, weight), labels, options);
      backward(loss, tensor([0.25], []));
      results.push([
        await loss.item(),
        await count.item(),
        ...(await (hidden.grad as Tensor).read()),
        ...(await (weight.grad as Tensor).read()),
      ]);
      hidden.grad?.dispose();
      weight.grad?.dispose();
    }
    assertWithin(results[0] as number[], results[1] as number[], (value) => 1e-6 * (1 + Math.abs(value)), { shape: [], dtype: 'f32' });
  });

  test('gradient agrees with central differences', () => {
    const labels = tensor([2, -100, 0], [3], 'i32');
    return expectGradient((hidden, weight) => linearCrossEntropy(hidden, weight, labels).loss, [3, 4], [5, 4]);
  });

  test('makes only the gradients that are asked for; a packed weight can be asked for none', async () => {
    const labels = tensor([2, 1], [2], 'i32');
    const [hidden, weight] = [leafOf(small([2, 4], 1), [2, 4], 'f32'), randn([5, 4], 2)];
    const losses = [linearCrossEntropy(hidden, weight, labels).loss, linearCrossEntropy(hidden, pack(weight), labels).loss];
    const gradients: number[][] = [];
    for (const loss of losses) {
      backward(loss, tensor([1], []));
      gradients.push([await loss.item(), ...(await (hidden.grad as Tensor).read())]);
      hidden.grad?.dispose();
      hidden.grad = undefined;
    }
    assert.equal(weight.grad, undefined);
    assertWithin(gradients[0] as number[], gradients[1] as number[], () => 1e-6, { shape: [], dtype: 'f32' });
    const packed = pack(weight);
    packed.requiresGrad = true;
    assert.throws(() => linearCrossEntropy(hidden, packed, labels), {
      name: 'ArgumentError',
      message: 'linearCrossEntropy: weight is packed, expected rows, to have a gradient',
    });
  });

  test('without any label, token or dimension', async () => {
    const weight = leafOf(small([3, 2], 1), [3, 2], 'f32');
    for (const rows of [0, 2]) {
      const hidden = leafOf(small([rows, 2], 1), [rows, 2], 'f32');
      const { loss, count } = linearCrossEntropy(hidden, weight, tensor(new Int32Array(rows).fill(-100)));
      assert.equal(await count.item(), 0);
      assert.equal(await loss.item(), Number.NaN);
      backward(loss, tensor([1], []));
      assert.deepEqual([...(await (hidden.grad as Tensor).read())], new Array(rows * 2).fill(0));
      hidden.grad?.dispose();
    }
    assert.deepEqual([...(await (weight.grad as Tensor).read())], [0, 0, 0, 0, 0, 0]);
    weight.grad?.dispose();
    const flat = linearCrossEntropy(tensor([], [2, 0]), tensor([], [4, 0]), tensor([1, 3], [2], 'i32'));
    assert.ok(Math.abs((await flat.loss.item()) - Math.log(4)) < 1e-6);
  });

  test('a label that is no class rejects the read', () =>
    assert.rejects(linearCrossEntropy(randn([1, 2], 1), randn([3, 2], 1), tensor([3], [1], 'i32')).loss.read(), {
      name: 'ArgumentError',
      message: 'linearCrossEntropy: labels[0] is 3, expected from 0 to below 3, or -100 to be ignored',
    }));

  test('names the argument that does not fit', () => {
    const [hidden, weight, labels] = [randn([2, 3], 1), randn([5, 3], 1), tensor([0, 1], [2], 'i32')];
    const throws = (body: () => unknown, name: string, message: string) =>
      assert.throws(body, { name, message: `linearCrossEntropy: ${message}` });
    throws(() => linearCrossEntropy(labels, weight, labels), 'DtypeError', 'hidden is i32, expected f32, bf16 or f16');
    throws(() => linearCrossEntropy(tensor([1], []), weight, labels), 'ShapeError', 'hidden is [], expected at least 1 axis');
    throws(
      () => linearCrossEntropy(randn([3], 1), weight, labels, { shift: true }),
      'ShapeError',
      'hidden is [3], expected at least 2 axes',
    );
    throws(() => linearCrossEntropy(hidden, randn([3], 1), labels), 'ShapeError', 'weight is [3], expected [vocab, dim]');
    throws(
      () => linearCrossEntropy(hidden, randn([5, 2], 1), labels),
      'ShapeError',
      'weight is [5, 2], expected 3 along axis 1, the last size of hidden',
    );
    throws(
      () => linearCrossEntropy(hidden, randn([5, 3], 1, 'bf16'), labels),
      'DtypeError',
      'weight is bf16, expected f32, the dtype of hidden',
    );
    throws(() => linearCrossEntropy(hidden, weight, randn([2], 1)), 'DtypeError', 'labels is f32, expected i32');
    throws(
      () => linearCrossEntropy(hidden, weight, tensor([1], [1], 'i32')),
      'ShapeError',
      'labels is [1], expected [2], the shape of hidden without its last axis',
    );
  });

  test('backward names what does not fit', () => {
    const throws = (fields: { dloss: Tensor; gradients: Tensor[] }, code: string, message: string) =>
      assert.throws(() => run('linearCrossEntropyBackward', fields), { code, message: `linearCrossEntropyBackward: ${message}` });
    throws({ dloss: tensor([1], [1]), gradients: [] }, 'MGLMM_SHAPE', 'dloss is [1], expected [], the shape of loss');
    throws({ dloss: tensor([1], [], 'i32'), gradients: [] }, 'MGLMM_DTYPE', 'dloss is i32, expected f32');
    throws({ dloss: tensor([1], []), gradients: [tensor([1], [1], 'u8')] }, 'MGLMM_DTYPE', 'gradients[0] is u8, expected f32, bf16 or f16');
  });
});
