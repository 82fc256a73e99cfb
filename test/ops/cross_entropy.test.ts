import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, crossEntropy, type Dtype, type Tensor, tensor } from '../../lib';
import { run } from '../../lib/autograd/run';
import { assertWithin, epsilon, expectClose } from '../support/close';
import { countOf, randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const labelsOf = (rows: number, vocab: number, ignored = -100) =>
  Int32Array.from({ length: rows }, (_, row) => (row % 3 === 1 ? ignored : (row * 7919) % vocab));

/** Loss, its gradient and the number of labels in float64; `next` gives the row whose label counts for a row, or -1. */
function oracle(logits: ArrayLike<number>, labels: Int32Array, vocab: number, ignored = -100, next = (row: number) => row) {
  const gradient = new Float64Array(logits.length);
  let [total, count] = [0, 0];
  for (let row = 0; row < labels.length; row++) {
    const label = next(row) < 0 ? ignored : (labels[next(row)] as number);
    if (label === ignored) continue;
    const values = Array.from({ length: vocab }, (_, i) => logits[row * vocab + i] as number);
    const largest = Math.max(...values);
    const whole = largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    total += whole - (values[label] as number);
    count++;
    values.forEach((value, i) => {
      gradient[row * vocab + i] = Math.exp(value - whole) - Number(i === label);
    });
  }
  return { mean: total / count, sum: total, count, gradient };
}

onEveryDevice('crossEntropy', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1, 1],
      [3, 255],
      [2, 4, 4099],
      [5, 7],
    ])
      test(`loss and gradient agree with float64 on ${dtype} [${shape}]`, async () => {
        const vocab = shape[shape.length - 1] as number;
        const labels = labelsOf(countOf(shape) / vocab, vocab);
        const logits = randn(shape, 3, dtype);
        logits.requiresGrad = true;
        const wanted = oracle(await logits.read(), labels, vocab);
        const { loss, count } = crossEntropy(logits, tensor(labels, shape.slice(0, -1)));
        assert.equal(await count.item(), wanted.count);
        await expectClose(loss, [wanted.mean], { terms: vocab, scale: Math.log(vocab) + 1 });
        backward(loss, tensor([0.5], []));
        // A probability errs by about |logit - logsumexp| roundings of f32, under 16 here, and one of the dtype; 1 - p and the
        // smallest numbers of f16 by a rounding of 1.
        const scaled = wanted.gradient.map((value) => (value * 0.5) / wanted.count);
        const dlogits = logits.grad as Tensor;
        assertWithin(await dlogits.read(), scaled, (value) => (16 * epsilon.f32 + epsilon[dtype]) * Math.abs(value) + epsilon.f32, dlogits);
        dlogits.dispose();
      });

  test('shift compares each position with the next label', async () => {
    const shape = [2, 5, 37];
    const labels = Int32Array.from([9999, 3, -100, 5, 36, -100, 1, 2, -100, 0]); // the first of a sequence is never looked at
    const logits = randn(shape, 8);
    logits.requiresGrad = true;
    const wanted = oracle(await logits.read(), labels, 37, -100, (row) => (row % 5 === 4 ? -1 : row + 1));
    const { loss, count } = crossEntropy(logits, tensor(labels, [2, 5]), { shift: true, reduction: 'sum' });
    assert.equal(await count.item(), 6);
    await expectClose(loss, [wanted.sum], { terms: 37 * 6, scale: 8 });
    backward(loss, tensor([1], []));
    await expectClose(logits.grad as Tensor, wanted.gradient, { terms: 37, scale: 1 });
    logits.grad?.dispose();
  });

  test('gradient agrees with central differences', async () => {
    const labels = tensor([2, -1, 0], [3], 'i32');
    await expectGradient((logits) => crossEntropy(logits, labels, { ignoreIndex: -1 }).loss, [3, 5]);
    await expectGradient((logits) => crossEntropy(logits, labels, { ignoreIndex: -1, reduction: 'sum' }).loss, [3, 5]);
  });

  test('large logits neither overflow nor lose the loss', async () => {
    const logits = tensor([1e4, -1e4, 9990, -3e38], [2, 2]);
    const { loss } = crossEntropy(logits, tensor([1, 0], [2], 'i32'), { reduction: 'sum' });
    assert.equal(await loss.item(), 2e4);
  });

  test('masked logits, -Infinity, count as impossible; NaN and +Infinity reach the loss', async () => {
    const lossOf = (values: number[], label: number) =>
      crossEntropy(tensor(values, [1, values.length]), tensor([label], [1], 'i32')).loss.item();
    const low = Number.NEGATIVE_INFINITY;
    assert.ok(Math.abs((await lossOf([low, 0, low, 0], 1)) - Math.LN2) < 1e-6);
    const long = Array.from({ length: 3000 }, (_, i) => (i === 2999 ? 1 : low));
    assert.equal(await lossOf(long, 2999), 0);
    assert.equal(await lossOf([0, low], 1), Number.POSITIVE_INFINITY);
    assert.ok(Number.isNaN(await lossOf([0, Number.NaN], 0)));
    assert.ok(Number.isNaN(await lossOf([0, Number.POSITIVE_INFINITY, 1], 0)));
  });

  test('without any label the mean is NaN, the sum and every gradient 0', async () => {
    for (const reduction of ['mean', 'sum'] as const) {
      const logits = randn([2, 3], 1);
      logits.requiresGrad = true;
      const { loss, count } = crossEntropy(logits, tensor([-100, -100], [2], 'i32'), { reduction });
      assert.equal(await count.item(), 0);
      assert.equal(await loss.item(), reduction === 'mean' ? Number.NaN : 0);
      backward(loss, tensor([1], []));
      assert.deepEqual([...(await (logits.grad as Tensor).read())], [0, 0, 0, 0, 0, 0]);
      logits.grad?.dispose();
    }
    const empty = crossEntropy(tensor([], [0, 4]), tensor([], [0], 'i32'), { reduction: 'sum' });
    assert.equal(await empty.loss.item(), 0);
    const narrow = crossEntropy(tensor([], [2, 0]), tensor([-100, -100], [2], 'i32'), { reduction: 'sum' });
    assert.equal(await narrow.loss.item(), 0);
  });

  test('a label that is no class rejects the read', async () => {
    const rejects = async (label: number, options: object, message: string) =>
      assert.rejects(crossEntropy(randn([1, 2, 13], 1), tensor([0, label], [1, 2], 'i32'), options).loss.read(), {
        name: 'ArgumentError',
        message,
      });
    await rejects(13, {}, 'crossEntropy: labels[1] is 13, expected from 0 to below 13, or -100 to be ignored');
    await rejects(-1, { shift: true }, 'crossEntropy: labels[1] is -1, expected from 0 to below 13, or -100 to be ignored');
  });

  test('names the argument that does not fit', () => {
    const labels = (shape: number[], dtype: Dtype = 'i32') => tensor(new Array(countOf(shape)).fill(0), shape, dtype);
    const throws = (body: () => unknown, name: string, message: string) =>
      assert.throws(body, { name, message: `crossEntropy: ${message}` });
    throws(() => crossEntropy(labels([2, 3]), labels([2])), 'DtypeError', 'logits is i32, expected f32, bf16 or f16');
    throws(() => crossEntropy(tensor([1], []), labels([])), 'ShapeError', 'logits is [], expected at least 1 axis');
    throws(() => crossEntropy(randn([3], 1), labels([]), { shift: true }), 'ShapeError', 'logits is [3], expected at least 2 axes');
    throws(() => crossEntropy(randn([2, 3], 1), labels([2], 'u8')), 'DtypeError', 'labels is u8, expected i32');
    throws(
      () => crossEntropy(randn([2, 3], 1), labels([3])),
      'ShapeError',
      'labels is [3], expected [2], the shape of logits without its last axis',
    );
    throws(
      () => crossEntropy(randn([2, 3], 1), labels([2]), { reduction: 'none' as 'sum' }),
      'ArgumentError',
      'reduction is "none", expected one of "mean", "sum"',
    );
  });

  test('backward names what does not fit', () => {
    const [logits, labels] = [tensor(randnArray(6, 1), [2, 3]), tensor([0, 1], [2], 'i32')];
    const right = { dloss: tensor([1], []), logits, labels, count: tensor([2], [], 'i32'), logsumexp: tensor([1, 1], [2]) };
    const throws = (wrong: object, code: string, message: string) =>
      assert.throws(() => run('crossEntropyBackward', { ...right, ...wrong }), { code, message: `crossEntropyBackward: ${message}` });
    throws({ dloss: tensor([1], [1]) }, 'MGLMM_SHAPE', 'dloss is [1], expected [], the shape of loss');
    throws({ dloss: tensor([1], [], 'i32') }, 'MGLMM_DTYPE', 'dloss is i32, expected f32');
    throws({ count: labels }, 'MGLMM_SHAPE', "count is [2], expected [], the shape of the forward's count");
    throws({ count: tensor([2], []) }, 'MGLMM_DTYPE', 'count is f32, expected i32');
    throws({ logsumexp: tensor([1], [1]) }, 'MGLMM_SHAPE', 'logsumexp is [1], expected [2], the shape of labels');
    throws({ logsumexp: labels }, 'MGLMM_DTYPE', 'logsumexp is i32, expected f32');
  });
});
