/** Prompts that different adaptations of one model answer, in one batch. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type GeneratedToken, type GeneratePrompt, generate, LlamaForCausalLM, nn, Scope, tensor } from '../../lib';
import { assertWithin, epsilon } from '../support/close';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

const config = {
  ...{ vocabSize: 61, dim: 24, mlpDim: 40, depth: 2, heads: 6, kvHeads: 2, headDim: 4 },
  ...{ eps: 1e-5, ropeBase: 10000, context: 400, tiedHead: false },
};
type Options = { dtype?: 'f32' | 'bf16'; tiedHead?: boolean };

const made = ({ dtype, tiedHead = false }: Options) => LlamaForCausalLM.of({ ...config, tiedHead }, { dtype }).initialize(11);

/** `base` with LoRA around some layers and others of its own, as an adapter has them. */
function adapted(base: LlamaForCausalLM, seed: number, { lora, whole = /^$/, rank = 2 }: { lora: RegExp; whole?: RegExp; rank?: number }) {
  const { dtype } = base.model;
  const parts = base.parts();
  const model = LlamaForCausalLM.of(base.model.config, { dtype });
  model.substitute((key, part) => {
    if (lora.test(key)) {
      const layer = new nn.LoraLinear(parts.get(key) as nn.Linear, { rank, alpha: 3 * rank });
      const update = [layer.loraA, layer.loraB].map(({ shape }, i) => randn(shape, seed + i + key.length, dtype));
      layer.loadSome(new Map(['lora_A', 'lora_B'].map((name, i) => [name, update[i] as (typeof update)[0]])));
      return layer;
    }
    if (whole.test(key)) {
      const before = [...part.namedParameters()];
      part.loadSome(new Map(before.map(([name, { shape }]) => [name, randn(shape, seed + key.length, dtype)])));
      return part;
    }
    return [nn.Linear, nn.Embedding, nn.RmsNorm].some((kind) => part instanceof kind) ? parts.get(key) : undefined;
  });
  return model;
}

const promptOf = (llama: LlamaForCausalLM, row: number): GeneratePrompt => {
  const ids = Array.from({ length: 3 + 5 * row }, (_, i) => (i * 7 + row) % config.vocabSize);
  return { llama, embeddings: llama.model.embedTokens.forward(tensor(ids, [1, ids.length], 'i32')) };
};

/** Of each row its tokens, and the logits that they were chosen from. */
async function answers(base: LlamaForCausalLM, prompts: readonly GeneratePrompt[]) {
  const rows = prompts.map(() => ({ ids: [] as number[], logits: [] as number[] }));
  const tokens: GeneratedToken[] = [];
  for await (const event of generate(base, prompts, { eos: 1000, maxNewTokens: 9, logits: true })) {
    if (event.type === 'token') tokens.push(event);
  }
  for (const { row, id, logits } of tokens) {
    rows[row]?.ids.push(id);
    for (const value of (await logits?.read()) ?? []) rows[row]?.logits.push(value);
    logits?.dispose();
  }
  return rows;
}

/** @param within - what logits may differ by, of the largest of a row. */
async function expectAsAlone(base: LlamaForCausalLM, prompts: readonly GeneratePrompt[], within = 0) {
  const together = await answers(base, prompts);
  for (const [row, prompt] of prompts.entries()) {
    using cache = prompt.cache?.copy(0); // a single prompt would extend it
    const [alone] = (await answers(base, [{ ...prompt, cache }])) as [(typeof together)[0]];
    const { ids, logits } = together[row] as typeof alone;
    assert.deepEqual(ids, alone.ids);
    const allowed = within * Math.max(...alone.logits.map(Math.abs));
    assertWithin(logits, alone.logits, () => allowed, { shape: [logits.length], dtype: base.model.dtype });
  }
  assert.equal(new Set(together.map(({ logits }) => logits.join())).size, prompts.length);
}

onEveryDevice('a batch of several adaptations', () => {
  test.each(['f32', 'bf16'] as const)('gives each row the logits that it gets alone, to the bit, in %s', async (dtype) => {
    using _scope = Scope.open();
    const base = made({ dtype });
    const some = adapted(base, 100, { lora: /layers\.0.*[qv]_proj$/ });
    const many = adapted(base, 200, { lora: /_proj$|lm_head$/, rank: 5 });
    const whole = adapted(base, 300, { lora: /down_proj$/, whole: /norm$|embed_tokens$|lm_head$|1.*o_proj$/ });
    await expectAsAlone(base, [some, base, many, whole].map(promptOf));
    await expectAsAlone(base, [whole, some, whole, many].map(promptOf));
  });

  test('shares a table that is the head as well, unless an adapter has its own', async () => {
    using _scope = Scope.open();
    const base = made({ tiedHead: true });
    const own = adapted(base, 100, { lora: /q_proj$/, whole: /embed_tokens$/ });
    await expectAsAlone(base, [base, own, adapted(base, 200, { lora: /v_proj$/ })].map(promptOf));
  });

  test('goes on from what each adaptation has read before, which its rows share', async () => {
    using _scope = Scope.open();
    const base = made({});
    const prompts = [base, adapted(base, 100, { lora: /_proj$/ })].flatMap((llama, i) => {
      const cache = llama.model.cache();
      llama.model.extend(randn([1, 70 + i, config.dim], 5), cache);
      return [1, 2].map((row) => ({ ...promptOf(llama, row), cache }));
    });
    await expectAsAlone(base, prompts);
    for (const { cache } of prompts) cache.dispose();
  });

  test('over a base in 8 bits rounds as each does alone, but for the order of sums', async () => {
    using _scope = Scope.open();
    const base = made({});
    base.quantize('int8', (key) => key.includes('_proj'));
    const models = [1, 2, 3].map((rank) => adapted(base, 100 * rank, { lora: /_proj$/, rank }));
    // A layer on top of the other, of sums of mlpDim products at most.
    await expectAsAlone(base, models.map(promptOf), config.depth * 4 * Math.sqrt(config.mlpDim) * epsilon.f32);
  });

  test('refuses a model of another configuration', async () => {
    using _scope = Scope.open();
    const [base, other] = [made({}), made({})];
    await assert.rejects(answers(base, [promptOf(base, 0), promptOf(other, 1)]), {
      name: 'ArgumentError',
      message: 'generate: prompts have models of several configurations, expected adaptations of one model',
    });
  });
});
