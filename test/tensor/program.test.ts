import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  abortable,
  add,
  argmax,
  concat,
  copyInto,
  embedding,
  linear,
  memory,
  noGradients,
  Program,
  quantize,
  quantizedLinear,
  Scope,
  scale,
  synchronize,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

onEveryDevice('Program', (device) => {
  const doubled = (program: Program, x: ReturnType<typeof zeros>) =>
    noGradients(() => program.record(() => tidy(() => scale(scale(x, 4), 0.5))));

  test('runs nothing while it is recorded, and anew with every run', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const x = tensor([1, 2, 3]);
    const y = doubled(program, x);
    await assert.rejects(y.read(), { message: 'read: the tensor was never written' });
    program.run();
    assert.deepEqual(Array.from(await y.read()), [2, 4, 6]);
    copyInto(tensor([5, 0, -1]), x);
    program.run();
    assert.deepEqual(Array.from(await y.read()), [10, 0, -2]);
  });

  // A product of few rows asks for its weight before what is in front of it is done, where a GPU can and nothing changes it.
  test('multiplies by a weight that it has made itself, and by one that it has unpacked', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const given = zeros([512, 512], 'bf16');
    const x = randn([16, 512], 7, 'bf16');
    const quantized = quantize(randn([512, 512], 8, 'bf16'), 'int8');
    const results = noGradients(() =>
      program.record(() => tidy(() => [linear(x, scale(given, 2)), quantizedLinear(x, quantized)] as const)),
    );
    const weights = [randn([512, 512], 5, 'bf16'), randn([512, 512], 6, 'bf16')];
    for (const weight of [...weights, ...weights]) {
      copyInto(weight, given);
      program.run();
      assert.deepEqual(await results[0].read(), await linear(x, scale(weight, 2)).read());
      assert.deepEqual(await results[1].read(), await quantizedLinear(x, quantized).read());
    }
  });

  // In a graph on a GPU products of few rows with the same x are one launch, where none reads what another makes.
  test('multiplies the same rows by weights, and by what it made of them', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const given = zeros([16, 512], 'bf16');
    const weights = [1, 2, 3, 4].map((seed) => randn([512 - 8 * seed, 512], seed, 'bf16'));
    const square = randn([512, 512], 5, 'bf16');
    const bias = randn([512], 6, 'bf16');
    const products = (x: Tensor) => {
      const made = linear(x, square, bias);
      const read = [linear(x, made), linear(x, square, bias, { residual: made }), linear(made, square)];
      return [...weights.map((weight) => linear(x, weight)), made, ...read, linear(scale(x, 2), square), linear(scale(x, 3), square)];
    };
    const results = noGradients(() => program.record(() => tidy(() => products(given))));
    for (const seed of [7, 8, 9]) {
      copyInto(randn([16, 512], seed, 'bf16'), given);
      program.run();
      const expected = noGradients(() => products(given));
      for (const [i, y] of results.entries()) assert.deepEqual(await y.read(), await (expected[i] as Tensor).read());
    }
  });

  test('feeds itself: what a run makes can be what the next one reads', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const table = randn([7, 7], 3);
    const ids = tensor([2], [1], 'i32');
    noGradients(() => program.record(() => tidy(() => copyInto(argmax(embedding(table, ids)), ids))));
    const expected: number[] = [];
    const rows = await table.read();
    for (let id = 2, i = 0; i < 5; i++) {
      const row = rows.slice(id * 7, id * 7 + 7);
      id = row.indexOf(Math.max(...row));
      expected.push(id);
    }
    const got: number[] = [];
    for (let i = 0; i < 5; i++) {
      program.run();
      got.push(await ids.item());
    }
    assert.deepEqual(got, expected);
  });

  test('needs no memory between runs for what nobody holds', async () => {
    await collectGarbage();
    using _scope = Scope.open();
    const x = zeros([1 << 20]);
    await synchronize();
    const before = memory(device).liveBytes;
    const program = new Program();
    const y = noGradients(() =>
      program.record(() =>
        tidy(() => {
          let h = x;
          for (let i = 0; i < 8; i++) h = scale(h, 2);
          return h;
        }),
      ),
    );
    program.run();
    program.run();
    await synchronize();
    assert.equal(memory(device).liveBytes - before, 4 << 20);
    y.dispose();
    program.dispose();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('tells the error of the op that failed, and is well again after it', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const ids = tensor([9], [1], 'i32');
    const y = noGradients(() => program.record(() => tidy(() => scale(embedding(tensor([1, 2], [2, 1]), ids), 3))));
    program.run();
    await assert.rejects(y.read(), { name: 'ArgumentError', message: 'embedding: ids[0] is 9, expected 0 to 1' });
    copyInto(tensor([1], [1], 'i32'), ids);
    program.run();
    assert.equal(await y.item(), 6);
  });

  // From its second run on a GPU enqueues it as one graph, in which values that only it can see are asked about all the same.
  test('tells the error of a run among many, and of none but that', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const ids = tensor([1], [1], 'i32');
    const table = tensor([1, 2], [2, 1]);
    const y = noGradients(() => program.record(() => tidy(() => concat([embedding(table, ids), scale(embedding(table, ids), 3)], 1))));
    for (const id of [1, 0, 1, 9, 0, 7, 1]) {
      copyInto(tensor([id], [1], 'i32'), ids);
      program.run();
      if (id < 2) assert.deepEqual(Array.from(await y.read()), [id + 1, 3 * (id + 1)]);
      else await assert.rejects(y.read(), { name: 'ArgumentError', message: `embedding: ids[0] is ${id}, expected 0 to 1` });
    }
    for (const id of [0, 8, 1, 1]) {
      copyInto(tensor([id], [1], 'i32'), ids);
      program.run();
    }
    await assert.rejects(synchronize(), { name: 'ArgumentError', message: 'embedding: ids[0] is 8, expected 0 to 1' });
    await synchronize();
    program.run();
    assert.deepEqual(Array.from(await y.read()), [2, 6]);
    copyInto(tensor([3], [1], 'i32'), ids);
    program.run();
    program.dispose(); // before anybody has asked
    await assert.rejects(synchronize(), { name: 'ArgumentError', message: 'embedding: ids[0] is 3, expected 0 to 1' });
  });

  test('is given up between two ops', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const x = tensor([1]);
    const y = doubled(program, x);
    const abort = new AbortController();
    abortable(abort.signal, () => {
      abort.abort();
      program.run();
    });
    await assert.rejects(y.read(), { name: 'AbortedError', message: 'scale: aborted before it ran' });
    program.run();
    assert.equal(await y.item(), 2);
  });

  // A graph of the runs to come must not be where a result has its memory.
  test('keeps its results when its first run was given up', async () => {
    using _scope = Scope.open();
    const program = new Program();
    const y = doubled(program, tensor([1]));
    const abort = new AbortController();
    abortable(abort.signal, () => {
      abort.abort();
      program.run();
    });
    await assert.rejects(y.read(), { name: 'AbortedError' });
    for (let run = 0; run < 3; run++) program.run();
    assert.equal(await y.item(), 2);
    program.dispose();
    await synchronize();
    assert.equal(await y.item(), 2);
  });

  test('that nobody holds is given back while others run', async () => {
    using _scope = Scope.open();
    const x = zeros([1 << 18]);
    await collectGarbage();
    const before = memory(device).liveBytes;
    for (let i = 0; i < 4; i++) {
      const y = doubled(new Program(), x);
      const program = new Program();
      const z = noGradients(() => program.record(() => tidy(() => scale(scale(x, 4), 0.5))));
      for (let run = 0; run < 3; run++) program.run();
      y.dispose();
      z.dispose();
    }
    using program = new Program();
    const y = doubled(program, tensor([1]));
    program.run();
    await collectGarbage();
    program.run();
    program.run();
    assert.equal(await y.item(), 2);
    assert.ok(memory(device).liveBytes - before < 1 << 18);
  });

  test('can be recorded in pieces, and enqueues again when a body throws', async () => {
    using _scope = Scope.open();
    using program = new Program();
    const x = tensor([1]);
    const y = doubled(program, x);
    assert.throws(() => noGradients(() => program.record(() => assert.fail('why not'))), { message: 'why not' });
    const z = noGradients(() => program.record(() => add(y, y)));
    assert.equal(await scale(x, 7).item(), 7);
    program.run();
    assert.equal(await z.item(), 4);
  });

  test('says what cannot be', () => {
    const [outer, inner] = [new Program(), new Program()];
    noGradients(() =>
      outer.record(() => {
        assert.throws(() => inner.record(() => undefined), {
          name: 'ArgumentError',
          message: 'program: another one is being recorded, expected none',
        });
        assert.throws(() => outer.run(), { name: 'ArgumentError', message: /^program: cannot run while one is being recorded/ });
      }),
    );
    using _scope = Scope.open();
    const program = new Program();
    const x = tensor([1]);
    assert.throws(() => program.record(() => scale(x, 2)), {
      name: 'GradientError',
      message: 'program: gradients are being recorded, expected to be inside noGradients()',
    });
    program.run();
    assert.throws(() => doubled(program, x), { name: 'ArgumentError', message: 'program: has run before, expected one that has not' });
    program.dispose();
    program.dispose();
    assert.throws(() => program.run(), { name: 'DisposedError', message: 'program: was disposed, expected a live one' });
  });
});
