import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import {
  backward,
  crossEntropy,
  inferLlamaConfig,
  KeyValueCache,
  LlamaForCausalLM,
  linear,
  memory,
  parseLlamaConfig,
  Scope,
  slice,
  synchronize,
  tensor,
} from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { type StoredTensor, toTensor } from '../support/golden';
import { expectGolden, type GoldenTolerance, modelGoldens, stateOf } from '../support/golden_model';

const tiny = {
  vocabSize: 31,
  dim: 24,
  mlpDim: 40,
  depth: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 4,
  eps: 1e-5,
  ropeBase: 10000,
  context: 64,
  tiedHead: false,
};

onEveryDevice('golden llama', () => {
  for (const { name, folder, config, inputs, expected } of modelGoldens(({ model_type }) => model_type === 'llama')) {
    const tolerance = config.tolerance as Record<'logits' | 'loss' | 'grad', GoldenTolerance>;
    const lengths = config.real_lengths as number[];
    const input = (key: string) => toTensor(inputs.get(key) as StoredTensor);
    const made = () => {
      const llama = LlamaForCausalLM.of(parseLlamaConfig(config));
      llama.load(stateOf(join(folder, 'weights.safetensors')));
      return llama;
    };

    test(`${name}: states, logits, loss and every gradient`, async () => {
      using _scope = Scope.open();
      const llama = made().train(() => true);
      const { model } = llama;
      const states = model.forward(model.embedTokens.forward(input('input_ids')));
      const logits = llama.logits(states);
      const { loss } = crossEntropy(logits, input('labels'), { shift: true });
      await expectGolden('logits', logits, expected.get('logits'), tolerance.logits);
      await expectGolden(
        `hidden_states.${model.layers.length}`,
        states,
        expected.get(`hidden_states.${model.layers.length}`),
        tolerance.logits,
      );
      await expectGolden('loss', loss, expected.get('loss'), tolerance.loss);
      backward(loss);
      for (const [key, parameter] of llama.namedParameters()) {
        await expectGolden(`grad.${key}`, parameter.grad, expected.get(`grad.${key}`), tolerance.grad);
        parameter.grad?.dispose();
      }
      llama.dispose();
    });

    test(`${name}: every layer`, async () => {
      using _scope = Scope.open();
      const llama = made();
      const { model } = llama;
      const ids = input('input_ids');
      const [batch = 0, seq = 0] = ids.shape;
      const positionIds = tensor(
        Int32Array.from({ length: batch * seq }, (_, i) => i % seq),
        [batch, seq],
      );
      let h = model.embedTokens.forward(ids);
      for (const [i, layer] of model.layers.entries()) {
        await expectGolden(`hidden_states.${i}`, h, expected.get(`hidden_states.${i}`), tolerance.logits);
        h = layer.forward(h, { positionIds });
      }
      llama.dispose();
    });

    test(`${name}: recomputing layers gives the same gradients`, async () => {
      using _scope = Scope.open();
      const llama = made().train(() => true);
      const { model } = llama;
      const states = model.forward(model.embedTokens.forward(input('input_ids')), { recompute: true });
      backward(crossEntropy(llama.logits(states), input('labels'), { shift: true }).loss);
      for (const [key, parameter] of llama.namedParameters()) {
        await expectGolden(`grad.${key}`, parameter.grad, expected.get(`grad.${key}`), tolerance.grad);
        parameter.grad?.dispose();
      }
      llama.dispose();
    });

    for (const chunk of [1, 2, 3, 5, Number.POSITIVE_INFINITY]) {
      test(`${name}: logits from a cache fed ${chunk} tokens at a time`, async () => {
        using _scope = Scope.open();
        const llama = made();
        const stored = inputs.get('input_ids') as StoredTensor;
        const [batch, seq] = stored.shape as [number, number];
        using cache = llama.model.cache({ batch });
        const step = Math.min(chunk, seq);
        for (let begin = 0; begin < seq; begin += step) {
          const end = Math.min(begin + step, seq);
          const columns = (index: number) => index % seq >= begin && index % seq < end;
          const ids = tensor(Int32Array.from(stored.values.filter((_, index) => columns(index))), [batch, end - begin]);
          const logits = llama.logits(llama.model.extend(llama.model.embedTokens.forward(ids), cache));
          await expectGolden('logits', logits, part(expected.get('logits') as StoredTensor, seq, columns), tolerance.logits);
        }
        assert.deepEqual(cache.lengths, new Array(batch).fill(seq));
        llama.dispose();
      });
    }

    for (const side of ['right', 'left']) {
      test(`${name}: padding on the ${side} changes nothing`, async () => {
        using _scope = Scope.open();
        const llama = made();
        const mask = inputs.get(`${side}_pad_mask`) as StoredTensor;
        const keyMask = tensor(Uint8Array.from(mask.values), mask.shape);
        const logits = llama.logits(llama.model.forward(llama.model.embedTokens.forward(input(`${side}_pad_ids`)), { keyMask }));
        const wanted = expected.get(`${side}_pad_logits`) as StoredTensor;
        const vocab = wanted.shape.at(-1) as number;
        await expectGolden('logits', logits, wanted, tolerance.logits, (index) => mask.values[Math.floor(index / vocab)] === 1);
        llama.dispose();
      });
    }

    test(`${name}: rows of a ragged batch in a cache`, async () => {
      using _scope = Scope.open();
      const llama = made();
      const stored = inputs.get('right_pad_ids') as StoredTensor;
      const [batch, seq] = stored.shape as [number, number];
      using cache = llama.model.cache({ batch });
      const logits = llama.logits(llama.model.extend(llama.model.embedTokens.forward(input('right_pad_ids')), cache, lengths));
      const wanted = expected.get('right_pad_logits') as StoredTensor;
      const vocab = wanted.shape.at(-1) as number;
      const isReal = (index: number) => Math.floor(index / vocab) % seq < (lengths[Math.floor(index / vocab / seq)] as number);
      await expectGolden('logits', logits, wanted, tolerance.logits, isReal);
      assert.deepEqual(cache.lengths, lengths.slice(0, batch));
      llama.dispose();
    });

    test(`${name}: the shapes of the weights tell the sizes`, () => {
      const { headDim, context, eps, ropeBase, ...sizes } = parseLlamaConfig(config);
      const shapes = new Map([...stateOf(join(folder, 'weights.safetensors'))].map(([key, { shape }]) => [key, shape]));
      const told = inferLlamaConfig(shapes, { headDim, context, eps, ropeBase });
      assert.deepEqual(told, { ...sizes, headDim, context, eps, ropeBase });
    });
  }
});

function finished<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** The elements that `keep` chooses, with the sequence as long as they say. */
function part(stored: StoredTensor, seq: number, keep: (column: number) => boolean): StoredTensor {
  const [batch, , size] = stored.shape as [number, number, number];
  const values = Float32Array.from(stored.values).filter((_, index) => keep(Math.floor(index / size) % seq));
  return { ...stored, shape: [batch, values.length / batch / size, size], values };
}

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

onEveryDevice('llama', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    test(`a batch of ragged rows gives what each row gives alone, packed, ${dtype}`, async () => {
      using _scope = Scope.open();
      const { model } = LlamaForCausalLM.of(tiny, { dtype }).initialize(5).pack();
      const alone = [3, 70, 1].map((length, row) => {
        const cache = model.cache();
        model.extend(randn([1, length, tiny.dim], row, dtype), cache);
        return cache;
      });
      using batch = KeyValueCache.merge(alone, 100);
      assert.deepEqual([batch.capacity, ...batch.lengths], [128, 3, 70, 1]);
      for (const [step, lengths] of [
        [1, 0, 1],
        [1, 1, 0],
        [1, 1, 1],
      ].entries()) {
        const x = randn([3, 1, tiny.dim], 20 + step, dtype);
        const states = model.extend(x, batch, lengths);
        for (const [row, cache] of alone.entries()) {
          if (lengths[row] === 0) continue;
          const expected = model.extend(slice(x, 0, row, row + 1), cache);
          assert.deepEqual(await slice(states, 0, row, row + 1).readBits(), await expected.readBits());
        }
      }
      assert.deepEqual(batch.lengths, [6, 72, 3]);
      for (const cache of alone) cache.dispose();
      model.dispose();
    });
  }

  test('has no head of its own where the head is the embedding table', async () => {
    using _scope = Scope.open();
    const llama = LlamaForCausalLM.of({ ...tiny, tiedHead: true }).initialize(2);
    assert.ok(![...llama.stateDict().keys()].includes('lm_head.weight'));
    const states = randn([2, tiny.dim], 1);
    assert.deepEqual(await llama.logits(states).read(), await linear(states, llama.model.embedTokens.weight).read());
    llama.dispose();
  });
});

describe('the sizes of a config.json', () => {
  const json = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, num_hidden_layers: 2, vocab_size: 10 };
  const says = (changes: object | null, message: string) =>
    test(message, () =>
      assert.throws(() => parseLlamaConfig(changes && { ...json, ...changes }), { name: 'ArgumentError', code: 'MGLMM_ARGUMENT', message }),
    );

  test("take LlamaConfig's defaults", () => {
    assert.deepEqual(parseLlamaConfig(json), {
      vocabSize: 10,
      dim: 64,
      mlpDim: 96,
      depth: 2,
      heads: 4,
      kvHeads: 4,
      headDim: 16,
      eps: 1e-6,
      ropeBase: 10000,
      context: 2048,
      tiedHead: false,
    });
  });

  const described = 'llama: config.json does not describe a LLaMA decoder';
  says(null, `${described}: config: Invalid input: expected object, received null`);
  says({ vocab_size: undefined }, `${described}: vocab_size: Invalid input: expected number, received undefined`);
  says({ num_hidden_layers: 2.5 }, `${described}: num_hidden_layers: Invalid input: expected int, received number`);
  says({ rms_norm_eps: 0 }, `${described}: rms_norm_eps: Too small: expected number to be >0`);
  says({ tie_word_embeddings: 'no' }, `${described}: tie_word_embeddings: Invalid input: expected boolean, received string`);
  says({ hidden_act: 'gelu' }, `${described}: hidden_act: Invalid input: expected "silu"`);
  says({ attention_bias: true }, `${described}: attention_bias: Invalid input: expected false`);
  says({ rope_scaling: { type: 'linear' } }, `${described}: rope_scaling: Invalid input: expected null, received object`);
  says({ num_attention_heads: 64 }, 'llama: headDim is 1, expected an even number, as positions turn pairs');
  says({ num_key_value_heads: 3 }, 'llama: kvHeads is 3, expected a divisor of the 4 heads of queries');
  says({ num_attention_heads: 3 }, 'llama: headDim is 21.333333333333332, expected an integer from 1');

  test('shapes that tell nothing are refused', () =>
    assert.throws(() => inferLlamaConfig(new Map([['model.embed_tokens.weight', [3]]])), {
      name: 'ArgumentError',
      message: "llama: model.embed_tokens.weight is [3], expected a matrix, which tells the model's sizes",
    }));
});
