import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, embedding, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const idsOf = (values: number[], shape = [values.length]) => tensor(Int32Array.from(values), shape);

onEveryDevice('embedding', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const dim of [1, 33, 255, 1024])
      test(`takes and adds up rows of ${dim} in ${dtype}`, async () => {
        const vocab = 37;
        const ids = Array.from({ length: 120 }, (_, i) => (i * i) % 31);
        const [weight, dy] = [randn([vocab, dim], 1, dtype), randn([4, 30, dim], 2, dtype)];
        weight.requiresGrad = true;
        const y = embedding(weight, idsOf(ids, [4, 30]));
        assert.deepEqual([...y.shape], [4, 30, dim]);
        const bits = await weight.readBits();
        assert.deepEqual(
          [...(await y.readBits())],
          ids.flatMap((id) => [...bits.slice(id * dim, (id + 1) * dim)]),
        );
        backward(y, dy);
        const upstream = await dy.read();
        const expected = new Float64Array(vocab * dim);
        ids.forEach((id, i) => {
          for (let k = 0; k < dim; k++) expected[id * dim + k] = (expected[id * dim + k] as number) + (upstream[i * dim + k] as number);
        });
        await expectClose(weight.grad as Tensor, expected, { terms: 20, scale: 4 });
        weight.grad?.dispose();
      });

  for (const dim of [40, 41])
    test(`adds up many rows of ${dim} in the order of the ids`, async () => {
      const vocab = 300;
      const ids = Array.from({ length: 701 }, (_, i) => (i % 3 === 0 ? 299 : (i * i) % 211));
      const [weight, dy] = [randn([vocab, dim], 1), randn([ids.length, dim], 2)];
      weight.requiresGrad = true;
      backward(embedding(weight, idsOf(ids)), dy);
      const upstream = await dy.read();
      const expected = new Float32Array(vocab * dim); // rounded after each addition
      ids.forEach((id, i) => {
        for (let k = 0; k < dim; k++) expected[id * dim + k]! += upstream[i * dim + k] as number;
      });
      assert.deepEqual([...(await (weight.grad as Tensor).read())], [...expected]);
      weight.grad?.dispose();
    });

  test('of no ids is empty, and its gradient 0', async () => {
    const weight = randn([3, 2], 1);
    weight.requiresGrad = true;
    const y = embedding(weight, idsOf([]));
    assert.deepEqual([...y.shape], [0, 2]);
    backward(y, randn([0, 2], 1));
    assert.deepEqual([...(await (weight.grad as Tensor).read())], [0, 0, 0, 0, 0, 0]);
    weight.grad?.dispose();
  });

  test('gradient agrees with central differences', () => {
    const ids = idsOf([2, 0, 2]);
    return expectGradient((weight) => embedding(weight, ids), [4, 3]);
  });

  test('names an id out of range', async () => {
    await assert.rejects(embedding(randn([13, 4], 1), idsOf([1, 2, 12, 99])).read(), {
      name: 'ArgumentError',
      message: 'embedding: ids[3] is 99, expected 0 to 12',
    });
    await assert.rejects(embedding(randn([13, 4], 1), idsOf([-200])).read(), {
      name: 'ArgumentError',
      message: 'embedding: ids[0] is -200, expected 0 to 12',
    });
    await assert.rejects(embedding(randn([0, 4], 1), idsOf([0])).read(), {
      name: 'ArgumentError',
      message: 'embedding: ids[0] is 0, expected none: there are no rows',
    });
  });

  test('names the argument that does not fit', () => {
    assert.throws(() => embedding(randn([3], 1), idsOf([0])), {
      name: 'ShapeError',
      message: 'embedding: weight is [3], expected [vocab, dim]',
    });
    assert.throws(() => embedding(randn([3, 2], 1), randn([1], 1)), { name: 'DtypeError', message: 'embedding: ids is f32, expected i32' });
  });
});
