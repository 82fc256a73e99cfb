import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import {
  backward,
  concat,
  crossEntropy,
  KeyValueCache,
  LlamaForCausalLM,
  linear,
  llamaConfig,
  llamaConfigOfShapes,
  memory,
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
  hiddenSize: 24,
  intermediateSize: 40,
  numHiddenLayers: 2,
  numAttentionHeads: 6,
  numKeyValueHeads: 2,
  headDim: 4,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  maxPositionEmbeddings: 64,
  tieWordEmbeddings: false,
};

onEveryDevice('golden llama', () => {
  for (const { name, folder, config, inputs, expected } of modelGoldens(({ model_type }) => model_type === 'llama')) {
    const tolerance = config.tolerance as Record<'logits' | 'loss' | 'grad', GoldenTolerance>;
    const lengths = config.real_lengths as number[];
    const input = (key: string) => toTensor(inputs.get(key) as StoredTensor);
    const made = () => {
      const llama = LlamaForCausalLM.of(llamaConfig(config));
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
      const { headDim, maxPositionEmbeddings, rmsNormEps, ropeTheta, ...sizes } = llamaConfig(config);
      const shapes = new Map([...stateOf(join(folder, 'weights.safetensors'))].map(([key, { shape }]) => [key, shape]));
      const told = llamaConfigOfShapes(shapes, { headDim, maxPositionEmbeddings, rmsNormEps, ropeTheta });
      assert.deepEqual(told, { ...sizes, headDim, maxPositionEmbeddings, rmsNormEps, ropeTheta });
    });
  }
});

/** The elements that `keep` chooses, with the sequence as long as they say. */
function part(stored: StoredTensor, seq: number, keep: (column: number) => boolean): StoredTensor {
  const [batch, , size] = stored.shape as [number, number, number];
  const values = Float32Array.from(stored.values).filter((_, index) => keep(Math.floor(index / size) % seq));
  return { ...stored, shape: [batch, values.length / batch / size, size], values };
}

onEveryDevice('KeyValueCache', () => {
  const llama = () => LlamaForCausalLM.of(tiny).initialize(3);
  const tokens = (count: number, batch = 1) => randn([batch, count, tiny.hiddenSize], 9);

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
    assert.equal(large.bytes, 2 * tiny.numHiddenLayers * tiny.numKeyValueHeads * 320 * tiny.headDim * 4);
    model.dispose();
  });

  test('a row of a batch is a cache on the same memory', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using batch = model.cache({ batch: 3 });
    using alone = model.cache();
    const [first, second] = [tokens(7), randn([1, 1, tiny.hiddenSize], 4)];
    {
      using row = batch.row(1);
      const states = model.extend(first, row);
      assert.deepEqual(await states.read(), await model.extend(first, alone).read());
      batch.lengths[1] = row.lengths[0] as number;
    }
    const padded = concat([second, second, second], 0);
    const states = model.extend(padded, batch, [0, 1, 0]);
    assert.deepEqual(batch.lengths, [0, 8, 0]);
    assert.deepEqual(await slice(states, 0, 1, 2).read(), await model.extend(second, alone).read());
    model.dispose();
  });

  test('forgets from a length on, and copies up to one', async () => {
    using _scope = Scope.open();
    const { model } = llama();
    using cache = model.cache();
    const [prompt, question, other] = [tokens(9), randn([1, 4, tiny.hiddenSize], 1), randn([1, 4, tiny.hiddenSize], 2)];
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
    const before = memory().liveBytes;
    const cache = KeyValueCache.of(tiny, { batch: 2, capacity: 500, dtype: 'bf16' });
    cache.reserve(700);
    const [row, copy] = [cache.row(1), cache.copy(0, 0, 90)];
    await synchronize();
    assert.ok(memory().liveBytes > before);
    for (const one of [row, copy, cache]) one.dispose();
    await synchronize();
    assert.equal(memory().liveBytes, before);
  });

  test('says which row or length does not exist', () => {
    using cache = KeyValueCache.of(tiny, { batch: 2 });
    cache.lengths[1] = 5;
    const says = (body: () => unknown, message: string) => assert.throws(body, { name: 'ArgumentError', message });
    says(() => cache.row(2), 'row: row is 2, expected 0 to 1');
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
    model.dispose();
  });
});

onEveryDevice('llama', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    test(`a batch of ragged rows gives what each row gives alone, packed, ${dtype}`, async () => {
      using _scope = Scope.open();
      const { model } = LlamaForCausalLM.of(tiny, { dtype }).initialize(5).pack();
      const lengths = [5, 1, 8];
      using batch = model.cache({ batch: 3 });
      const prompts = lengths.map((length, row) => randn([1, length, tiny.hiddenSize], row, dtype));
      const alone = await Promise.all(
        prompts.map(async (prompt, row) => {
          using cache = model.cache();
          model.extend(prompt, cache);
          const step = randn([1, 1, tiny.hiddenSize], 20 + row, dtype);
          return model.extend(step, cache).readBits();
        }),
      );
      for (const [row, prompt] of prompts.entries()) {
        using view = batch.row(row);
        model.extend(prompt, view);
        batch.lengths[row] = lengths[row] as number;
      }
      const steps = concat(
        prompts.map((_, row) => randn([1, 1, tiny.hiddenSize], 20 + row, dtype)),
        0,
      );
      const states = model.extend(steps, batch);
      for (const row of lengths.keys()) assert.deepEqual(await slice(states, 0, row, row + 1).readBits(), alone[row]);
      model.dispose();
    });
  }

  test('has no head of its own where the head is the embedding table', async () => {
    using _scope = Scope.open();
    const llama = LlamaForCausalLM.of({ ...tiny, tieWordEmbeddings: true }).initialize(2);
    assert.ok(![...llama.stateDict().keys()].includes('lm_head.weight'));
    const states = randn([2, tiny.hiddenSize], 1);
    assert.deepEqual(await llama.logits(states).read(), await linear(states, llama.model.embedTokens.weight).read());
    llama.dispose();
  });
});

describe('the sizes of a config.json', () => {
  const json = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, num_hidden_layers: 2, vocab_size: 10 };
  const says = (changes: object, message: string) =>
    test(message, () =>
      assert.throws(() => llamaConfig({ ...json, ...changes }), { name: 'ArgumentError', code: 'MGLMM_ARGUMENT', message }),
    );

  test("take LlamaConfig's defaults", () => {
    assert.deepEqual(llamaConfig(json), {
      vocabSize: 10,
      hiddenSize: 64,
      intermediateSize: 96,
      numHiddenLayers: 2,
      numAttentionHeads: 4,
      numKeyValueHeads: 4,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeTheta: 10000,
      maxPositionEmbeddings: 2048,
      tieWordEmbeddings: false,
    });
  });

  test('an object is expected', () =>
    assert.throws(() => llamaConfig(null), { name: 'ArgumentError', message: 'config.json: is null, expected an object' }));
  says({ vocab_size: undefined }, 'config.json: vocab_size is missing, expected an integer from 1');
  says({ num_hidden_layers: 2.5 }, 'config.json: num_hidden_layers is 2.5, expected an integer from 1');
  says({ rms_norm_eps: 0 }, 'config.json: rms_norm_eps is 0, expected a number above 0');
  says({ tie_word_embeddings: 'no' }, 'config.json: tie_word_embeddings is "no", expected true or false');
  says({ hidden_act: 'gelu' }, 'config.json: hidden_act is "gelu", expected "silu", the one kind that is supported');
  says({ attention_bias: true }, 'config.json: attention_bias is true, expected false, the one kind that is supported');
  says(
    { rope_scaling: { type: 'linear' } },
    'config.json: rope_scaling is {"type":"linear"}, expected null, the one kind that is supported',
  );
  says({ num_attention_heads: 64 }, 'llama: headDim is 1, expected an even number, as positions turn pairs');
  says({ num_key_value_heads: 3 }, 'llama: numKeyValueHeads is 3, expected a divisor of the 4 heads of queries');
  says({ num_attention_heads: 3 }, 'config.json: head_dim is missing, expected an integer from 1');

  test('shapes that tell nothing are refused', () =>
    assert.throws(() => llamaConfigOfShapes(new Map([['model.embed_tokens.weight', [3]]])), {
      name: 'ArgumentError',
      message: "llama: model.embed_tokens.weight is [3], expected a matrix, which tells the model's sizes",
    }));
});
