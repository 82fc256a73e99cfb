/** What a decoder remembers: room, copies, pages that rows share, and memory. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { KeyValueCache, LlamaForCausalLM, memory, Scope, slice, synchronize } from '../../lib';
import { finished } from '../../lib/models/llama/key_value_pool';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { tiny } from '../support/tiny_llama';

onEveryDevice('KeyValueCache', (device) => {
  const llama = () => LlamaForCausalLM.of(tiny).initialize(3);
  const tokens = (count: number, batch = 1) => randn([batch, count, tiny.dim], 9);

  test('grows past its capacity and keeps what it holds', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using small = model.cache({ capacity: 1 });
    using large = model.cache({ capacity: 300 });
    const x = tokens(150);
    for (const [begin, end] of [
      [0, 60],
      [60, 61],
      [61, 150],
    ] as const) {
      const part = slice(x, 1, begin, end);
      assert.deepEqual(await model.extend(part, small).read(), await model.extend(part, large).read());
    }
    assert.equal(small.capacity, 192);
    assert.equal(large.capacity, 320);
    assert.equal(large.bytes, 2 * tiny.depth * tiny.kvHeads * 320 * tiny.headDim * 4);
    model.dispose();
  });

  test('forgets from a length on, and copies up to one', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using cache = model.cache();
    const [prompt, question, other] = [tokens(9), randn([1, 4, tiny.dim], 1), randn([1, 4, tiny.dim], 2)];
    model.extend(prompt, cache);
    const expected = await model.extend(other, cache).read();
    cache.truncate(0, 9);
    model.extend(question, cache);
    using kept = cache.copy(0, 9, 100);
    assert.deepEqual([kept.capacity, ...kept.lengths], [128, 9]);
    cache.truncate(0, 9);
    assert.deepEqual(await model.extend(other, kept).read(), expected);
    assert.deepEqual(await model.extend(other, cache).read(), expected);
    model.dispose();
  });

  test('holds no memory once it is disposed', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    const cache = KeyValueCache.of(tiny, { batch: 2, capacity: 500, dtype: 'bf16' });
    cache.reserve(700);
    const [merged, copy] = [KeyValueCache.merge([cache, cache]), cache.copy(0, 0, 90)];
    await synchronize();
    assert.ok(memory(device).liveBytes > before);
    for (const one of [merged, copy, cache]) one.dispose();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('is copied, merged and enlarged a layer a step; what is left halfway leaves all as it was', async () => {
    using cache = KeyValueCache.of(tiny, { batch: 1, capacity: 60 });
    const walks = () => [cache.copying(0), KeyValueCache.merging([cache, cache]), cache.reserving(500)] as const;
    await collectGarbage();
    const before = memory(device).liveBytes;
    for (const walk of walks()) {
      assert.equal(walk.next().done, false);
      walk.return(undefined as never);
    }
    await synchronize();
    assert.deepEqual([memory(device).liveBytes, cache.capacity], [before, 64]);
    for (const walk of walks()) {
      let steps = 1;
      let step = walk.next();
      for (; !step.done; step = walk.next()) steps++;
      assert.equal(steps, tiny.depth);
      step.value?.dispose();
    }
    assert.equal(cache.capacity, 512);
  });

  test('rows that begin alike share what they have in common, and are what each is alone, bit for bit', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using prefix = model.cache({ capacity: 150 });
    model.extend(tokens(150), prefix); // two pages and part of a third
    const questions = [3, 70, 1].map((length, row) => randn([1, length, tiny.dim], row));
    const alone = questions.map((question) => {
      const cache = prefix.copy(0);
      return { cache, states: model.extend(question, cache) };
    });
    const sharing = prefix.sharing(0, 150, [200, 300, 0]);
    let [step, steps] = [sharing.next(), 1];
    for (; !step.done; step = sharing.next()) steps++;
    assert.equal(steps, tiny.depth);
    const caches = step.value;
    const page = (2 * tiny.depth * tiny.kvHeads * 64 * tiny.headDim * 32) / 8;
    // Two pages that all hold, then those that hold the rest of each row.
    assert.deepEqual([...caches.map(({ capacity }) => capacity), caches[0]!.bytes / page], [256, 320, 192, 2 + 2 + 3 + 1]);
    for (const [row, question] of questions.entries()) {
      assert.deepEqual(await model.extend(question, caches[row]!).readBits(), await alone[row]!.states.readBits());
    }
    using batch = KeyValueCache.join(caches as [KeyValueCache]);
    assert.deepEqual([batch.bytes / page, batch.capacity, ...batch.lengths], [8, 192, 153, 220, 151]);
    const x = tokens(60, 3); // the third row takes a page, and the memory grows by it
    const states = model.extend(x, batch);
    assert.equal(batch.bytes / page, 9);
    for (const [row, { cache }] of alone.entries()) {
      const expected = model.extend(slice(x, 0, row, row + 1), cache);
      assert.deepEqual(await slice(states, 0, row, row + 1).readBits(), await expected.readBits());
      cache.dispose();
    }
    model.dispose();
  });

  test('merged with others, rows share on what they shared, and are what each is alone, bit for bit', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    const prefixes = [150, 40].map((length, seed) => {
      const prefix = model.cache();
      model.extend(randn([1, length, tiny.dim], seed), prefix);
      return prefix;
    });
    const [first, second] = prefixes as [KeyValueCache, KeyValueCache];
    const shared = [...finished(first.sharing(0, 150, [150, 150])), second.copy(0)];
    const questions = [3, 70, 1].map((length, row) => randn([1, length, tiny.dim], 10 + row));
    const alone = questions.map((question, row) => {
      const cache = (row < 2 ? first : second).copy(0);
      model.extend(question, cache);
      model.extend(question, shared[row] as KeyValueCache);
      return cache;
    });
    using batch = KeyValueCache.merge(shared, [200, 300, 0]);
    const page = (2 * tiny.depth * tiny.kvHeads * 64 * tiny.headDim * 32) / 8;
    // Two pages that both hold, then those that hold the rest of each row.
    assert.deepEqual([batch.bytes / page, batch.capacity, ...batch.lengths], [2 + 2 + 3 + 1, 64, 153, 220, 41]);
    const x = tokens(30, 3);
    const states = model.extend(x, batch);
    for (const [row, cache] of alone.entries()) {
      const expected = model.extend(slice(x, 0, row, row + 1), cache);
      assert.deepEqual(await slice(states, 0, row, row + 1).readBits(), await expected.readBits());
    }
    for (const cache of [...prefixes, ...shared, ...alone]) cache.dispose();
    model.dispose();
  });

  test('a row that goes back to what it shares writes to pages of its own', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using prefix = model.cache();
    model.extend(tokens(130), prefix);
    const [one, other] = finished(prefix.sharing(0, 130, [130, 130])) as [KeyValueCache, KeyValueCache];
    const expected = [100, 64, 130].map((length) => {
      using cache = prefix.copy(0, length);
      return model.extend(tokens(7), cache);
    });
    one.truncate(0, 100); // within the second page
    assert.ok(!one.hasRoom(101) && other.hasRoom(131));
    const giveUp = one.reserving(107);
    assert.equal(giveUp.next().done, false);
    giveUp.return();
    assert.ok(!one.hasRoom(101));
    assert.deepEqual(await model.extend(tokens(7), one).readBits(), await expected[0]!.readBits());
    assert.ok(one.hasRoom(108));
    using third = other.copy(0, 130);
    other.truncate(0, 64); // where it begins
    assert.deepEqual(await model.extend(tokens(7), other).readBits(), await expected[1]!.readBits());
    assert.deepEqual(await model.extend(tokens(7), third).readBits(), await expected[2]!.readBits());
    for (const cache of [one, other]) cache.dispose();
    model.dispose();
  });

  test('pages that a disposed cache gives back are taken by those it shared memory with', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    using cache = KeyValueCache.of(tiny);
    const [one, other] = finished(cache.sharing(0, 0, [300, 100])) as [KeyValueCache, KeyValueCache];
    const { bytes } = other;
    one.dispose();
    other.reserve(7 * 64);
    assert.deepEqual([other.bytes, other.capacity], [bytes, 7 * 64]);
    for (const held of [other, other, cache]) held.dispose();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('says which row or length does not exist', () => {
    using cache = KeyValueCache.of(tiny, { batch: 2 });
    cache.lengths[1] = 5;
    const says = (body: () => unknown, message: string) => assert.throws(body, { name: 'ArgumentError', message });
    says(() => cache.copy(2), 'copy: row is 2, expected 0 to 1');
    says(() => cache.sharing(-1, 0, []).next(), 'sharing: row is -1, expected 0 to 1');
    says(() => cache.sharing(0, 0, []).next(), 'sharing: capacities are none, expected at least one');
    says(() => KeyValueCache.merge([]), 'merge: caches is empty, expected at least one');
    using stranger = KeyValueCache.of(tiny);
    says(() => KeyValueCache.join([cache, stranger]), 'join: caches do not share their memory, expected those of one call of sharing');
    says(() => cache.truncate(1, 6), 'truncate: length is 6, expected 0 to 5, the tokens of row 1');
    says(() => cache.copy(1, -1), 'copy: length is -1, expected 0 to 5, the tokens of row 1');
    const { model } = llama();
    assert.throws(() => model.extend(tokens(1), cache), {
      name: 'ShapeError',
      message: 'extend: embeddings have 1 rows, a cache of 2, expected as many',
    });
    assert.throws(() => model.extend(tokens(1, 2), cache, [1]), {
      name: 'ShapeError',
      message: 'extend: embeddings have 2 rows, lengths of 1, expected as many',
    });
    const gone = KeyValueCache.of(tiny);
    for (let i = 0; i < 2; i++) gone.dispose();
    for (const use of [() => model.extend(tokens(1), gone), () => gone.copy(0), () => gone.reserve(1), () => KeyValueCache.merge([gone])]) {
      assert.throws(use, { name: 'DisposedError', message: 'KeyValueCache: it was disposed, expected a live cache' });
    }
    model.dispose();
  });
});
