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
  parseLlamaConfig,
  Scope,
  slice,
  tensor,
} from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { type StoredTensor, toTensor } from '../support/golden';
import { expectGolden, type GoldenTolerance, modelGoldens, stateOf } from '../support/golden_model';
import { tiny } from '../support/tiny_llama';

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

/** The elements that `keep` chooses, with the sequence as long as they say. */
function part(stored: StoredTensor, seq: number, keep: (column: number) => boolean): StoredTensor {
  const [batch, , size] = stored.shape as [number, number, number];
  const values = Float32Array.from(stored.values).filter((_, index) => keep(Math.floor(index / size) % seq));
  return { ...stored, shape: [batch, values.length / batch / size, size], values };
}

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
