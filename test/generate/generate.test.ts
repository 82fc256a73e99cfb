import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  concat,
  type GeneratedToken,
  type GenerateEvent,
  type GenerateOptions,
  type GeneratePrompt,
  generate,
  LlamaForCausalLM,
  memory,
  noGradients,
  Scope,
  slice,
  stopAtStrings,
  synchronize,
  type Tensor,
  type TokenConstraint,
  type TokenSet,
  tensor,
  tidy,
} from '../../lib';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

const config = {
  vocabSize: 61,
  dim: 24,
  mlpDim: 40,
  depth: 3,
  heads: 6,
  kvHeads: 2,
  headDim: 4,
  eps: 1e-5,
  ropeBase: 10000,
  context: 400,
  tiedHead: false,
};
const noEos = 1000;

function made(options: { dtype?: 'f32' | 'bf16'; seed?: number } = {}): LlamaForCausalLM {
  return LlamaForCausalLM.of(config, { dtype: options.dtype }).initialize(options.seed ?? 11);
}

const embedded = (llama: LlamaForCausalLM, ids: readonly number[]) => llama.model.embedTokens.forward(tensor(ids, [1, ids.length], 'i32'));

async function all(llama: LlamaForCausalLM, prompts: readonly GeneratePrompt[], options: GenerateOptions): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of generate(llama, prompts, options)) events.push(event);
  return events;
}
const tokensOf = (events: readonly GenerateEvent[], row = 0) =>
  events.filter((event): event is GeneratedToken => event.type === 'token' && event.row === row);
const idsOf = (events: readonly GenerateEvent[], row = 0) => tokensOf(events, row).map(({ id }) => id);

/** The likeliest tokens, each from a forward over the whole sequence. */
async function slowly(llama: LlamaForCausalLM, prompt: readonly number[], count: number) {
  const ids = [...prompt];
  const states: Float32Array[] = [];
  for (let i = 0; i < count; i++) {
    const [state, logits] = tidy(() => {
      const last = slice(llama.model.forward(embedded(llama, ids)), 1, ids.length - 1, ids.length);
      return [last, llama.logits(last)];
    }) as [Tensor, Tensor];
    const values = await logits.read();
    states.push((await state.read()) as Float32Array);
    ids.push(values.indexOf(Math.max(...values) as never));
  }
  return { ids: ids.slice(prompt.length), states };
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] as number))));

onEveryDevice('generate', (device) => {
  test('takes the likeliest token every time, and gives the states that predicted those asked for', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = [3, 7, 1, 60, 2];
    const expected = await slowly(llama, prompt, 12);
    const captureIds = expected.ids.slice(0, 3);
    const events = await all(llama, [{ embeddings: embedded(llama, prompt) }], { eos: noEos, maxNewTokens: 12, captureIds });
    assert.deepEqual(idsOf(events), expected.ids);
    assert.deepEqual(events[0], { type: 'prompt', row: 0, tokens: 5 });
    for (const { id, index, state, finish } of tokensOf(events)) {
      assert.equal(state !== undefined, captureIds.includes(id));
      assert.equal(finish, index === 11 ? 'length' : undefined);
      if (state) assert.ok(distance(await state.read(), expected.states[index] as Float32Array) < 1e-5);
      state?.dispose();
    }
    llama.dispose();
  });

  test('reads a prompt in pieces, and gives the states of its places in the order asked for', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = Array.from({ length: 37 }, (_, i) => (i * 7) % 61);
    const whole = llama.model.forward(embedded(llama, prompt));
    const capture = [36, 0, 11, 12, 5, 36];
    const expected = await idsOf(await all(llama, [{ embeddings: embedded(llama, prompt) }], { eos: noEos, maxNewTokens: 5 }));
    for (const prefillTokens of [1, 12, 36, 37, 100]) {
      const prompts = [{ embeddings: embedded(llama, prompt), capture }];
      const events = await all(llama, prompts, { eos: noEos, maxNewTokens: 5, prefillTokens });
      const [first] = events;
      assert.ok(first?.type === 'prompt' && first.states);
      assert.deepEqual(first.states.shape, [6, config.dim]);
      const states = await first.states.read();
      for (const [i, place] of capture.entries()) {
        const row = await slice(whole, 1, place, place + 1).read();
        assert.ok(distance(row, states.subarray(i * config.dim)) < 1e-5, `place ${place}, ${prefillTokens} at once`);
      }
      first.states.dispose();
      assert.deepEqual(idsOf(events), expected);
    }
    llama.dispose();
  });

  test('goes on where a cache ends, and leaves all but the last token in it', async () => {
    using _scope = Scope.open();
    const llama = made();
    const [first, second] = [
      [5, 9, 2, 44],
      [8, 8, 30],
    ];
    using cache = llama.model.cache();
    const answer = idsOf(await all(llama, [{ embeddings: embedded(llama, first), cache }], { eos: noEos, maxNewTokens: 6 }));
    assert.deepEqual(cache.lengths, [4 + 5]);
    const next = [answer.at(-1) as number, ...second];
    const again = idsOf(await all(llama, [{ embeddings: embedded(llama, next), cache }], { eos: noEos, maxNewTokens: 6 }));
    assert.deepEqual(again, (await slowly(llama, [...first, ...answer, ...second], 6)).ids);
    llama.dispose();
  });

  for (const dtype of ['f32', 'bf16'] as const) {
    test(`rows of a ragged batch are what each is alone, bit for bit, ${dtype}`, async () => {
      using _scope = Scope.open();
      const llama = made({ dtype }).pack();
      const lengths = [5, 31, 1];
      const options = { maxNewTokens: 9, logits: true, temperature: 0.8, topK: 20, topP: 0.9, repetitionPenalty: 1.2 };
      const prefix = llama.model.cache();
      llama.model.extend(embedded(llama, [4, 4, 1]), prefix);
      const prompt = (row: number, alone: boolean): GeneratePrompt => {
        const ids = Array.from({ length: lengths[row] as number }, (_, i) => (i * 5 + row) % 61);
        const cache = row === 2 ? (alone ? prefix.copy(0) : prefix) : undefined;
        return { embeddings: embedded(llama, ids), previousIds: ids, seed: 70 + row, cache };
      };
      const alone = await Promise.all(lengths.map((_, row) => all(llama, [prompt(row, true)], { ...options, eos: noEos })));
      // The third token that row 1 gets ends it, while the others go on.
      const eos = idsOf(alone[1] as GenerateEvent[])[2] as number;
      const batch = await all(
        llama,
        lengths.map((_, row) => prompt(row, false)),
        { ...options, eos },
      );
      for (const [row, events] of alone.entries()) {
        const wanted = tokensOf(events);
        const end = wanted.findIndex(({ id }) => id === eos);
        const got = tokensOf(batch, row);
        assert.deepEqual(
          got.map(({ id }) => id),
          wanted.slice(0, end < 0 ? undefined : end + 1).map(({ id }) => id),
        );
        assert.equal(got.at(-1)?.finish, end < 0 ? 'length' : 'eos');
        for (const [i, { logits }] of got.entries()) assert.deepEqual(await logits?.readBits(), await wanted[i]?.logits?.readBits());
      }
      assert.deepEqual(prefix.lengths, [3]);
      for (const { logits } of [batch, ...alone].flat().filter((event) => event.type === 'token')) logits?.dispose();
      prefix.dispose();
      llama.dispose();
    });
  }

  test('rows behind one cache share it, are what each is alone, and leave it as it was', async () => {
    using _scope = Scope.open();
    const llama = made().pack();
    using cache = llama.model.cache();
    const beginning = Array.from({ length: 100 }, (_, i) => i % 61);
    llama.model.extend(embedded(llama, beginning), cache);
    const questions = [[3], [1, 4, 1, 5], [9, 2]];
    const prompts = questions.map((ids) => ({ embeddings: embedded(llama, ids), cache }));
    const events = await all(llama, prompts, { eos: noEos, maxNewTokens: 30, prefillTokens: 3 });
    assert.deepEqual(cache.lengths, [100]);
    for (const [row, { embeddings }] of prompts.entries()) {
      using own = cache.copy(0);
      const expected = idsOf(await all(llama, [{ embeddings, cache: own }], { eos: noEos, maxNewTokens: 30 }));
      assert.deepEqual(idsOf(events, row), expected);
      assert.equal(expected.length, 30);
    }
    llama.dispose();
  });

  test('makes room as the answer grows, up to the end of the context', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = [1, 2, 3];
    const options = { eos: noEos, maxNewTokens: 1000 };
    const ids = idsOf(await all(llama, [{ embeddings: embedded(llama, prompt) }], options));
    assert.equal(ids.length, config.context - prompt.length + 1);
    const sequence = [...prompt, ...ids];
    const logits = llama.logits(llama.model.forward(embedded(llama, sequence.slice(0, -1))));
    const values = await logits.read();
    for (let i = prompt.length; i < sequence.length; i++) {
      const row = values.subarray((i - 1) * config.vocabSize, i * config.vocabSize);
      assert.ok(Math.max(...row) - (row[sequence[i] as number] as number) < 1e-4, `token ${i}`);
    }
    llama.dispose();
  });

  test('draws by seed, under a penalty', async () => {
    using _scope = Scope.open();
    const llama = made();
    const embeddings = embedded(llama, [3, 1, 4]);
    const draw = async (seed: number, more: Partial<GenerateOptions> = {}) =>
      idsOf(await all(llama, [{ embeddings, seed }], { eos: noEos, maxNewTokens: 20, temperature: 1.5, ...more }));
    const first = await draw(1);
    assert.deepEqual(await draw(1), first);
    assert.notDeepEqual(await draw(2), first);
    assert.deepEqual(await draw(2, { topK: 1 }), (await slowly(llama, [3, 1, 4], 20)).ids);
    const unlike = await draw(1, { temperature: 0, repetitionPenalty: 1e6 });
    assert.equal(new Set(unlike).size, 20);
    llama.dispose();
  });

  test('keeps a row to its constraint', async () => {
    using _scope = Scope.open();
    const llama = made();
    const told: number[] = [];
    const allowed = { allowed: [5, 6] };
    const constraint: TokenConstraint = {
      next: () => (told.length === 4 ? undefined : told.length < 2 ? allowed : { forbidden: new Set([5, 6]) }),
      accept: (id) => void told.push(id),
    };
    const embeddings = embedded(llama, [3, 1, 4]);
    const events = await all(llama, [{ embeddings, constraint }, { embeddings }], { eos: noEos, maxNewTokens: 6 });
    const ids = idsOf(events);
    assert.deepEqual(told, ids);
    assert.ok(ids.slice(0, 2).every((id) => [5, 6].includes(id)) && !ids.slice(2, 4).some((id) => [5, 6].includes(id)));
    assert.deepEqual(idsOf(events, 1), (await slowly(llama, [3, 1, 4], 6)).ids);
    const wrong = { next: () => ({ allowed: [61] }), accept: () => undefined };
    await assert.rejects(all(llama, [{ embeddings, constraint: wrong }], { eos: 2 }), {
      name: 'ArgumentError',
      message: 'generate: a constraint names token 61, expected 0 to 60',
    });
    llama.dispose();
  });

  test('chooses again where a constraint names another choice in the place of one', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = [3, 1, 4];
    const { ids } = await slowly(llama, prompt, 4);
    const embeddings = embedded(llama, prompt);
    const options = { eos: noEos, maxNewTokens: 6 };
    /** At step `at` of the answer. */
    const only = (at: number, set: TokenSet): TokenConstraint => {
      let count = 0;
      return { next: () => (count === at ? set : { forbidden: [] }), accept: () => void count++ };
    };
    for (const at of [0, 2]) {
      const of = ids[at] as number;
      const among = { allowed: [7, 8] };
      const [again, other] = [
        { forbidden: [], instead: { of, among } },
        { forbidden: [], instead: { of: of + 1, among } },
      ];
      const prompts = [{ embeddings, constraint: only(at, again) }, { embeddings }, { embeddings, constraint: only(at, other) }];
      const events = await all(llama, prompts, options);
      assert.deepEqual(idsOf(events), idsOf(await all(llama, [{ embeddings, constraint: only(at, among) }], options)));
      assert.ok([7, 8].includes(idsOf(events)[at] as number));
      assert.deepEqual(idsOf(events, 1), (await slowly(llama, prompt, 6)).ids);
      assert.deepEqual(idsOf(events, 2), idsOf(events, 1));
    }
    llama.dispose();
  });

  test('ends at a string, with the token that completes it', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = [3, 1, 4];
    const { ids } = await slowly(llama, prompt, 8);
    const text = (id: number) => `<${id}>`;
    const wanted = `${text(ids[3] as number).slice(-2)}${text(ids[4] as number).slice(0, 3)}`;
    const stop = stopAtStrings(['never', '', wanted], () => ({ push: text }));
    const events = await all(llama, [{ embeddings: embedded(llama, prompt) }], { eos: noEos, maxNewTokens: 8, stop });
    assert.deepEqual(idsOf(events), ids.slice(0, 5));
    assert.equal(tokensOf(events).at(-1)?.finish, 'stop');
    llama.dispose();
  });

  test('ends within one token of its signal, and leaves the cache as far as it was told', async () => {
    using _scope = Scope.open();
    const llama = made();
    const prompt = [3, 1, 4];
    const reason = new Error('enough');
    const cache = llama.model.cache();
    const abort = new AbortController();
    const embeddings = embedded(llama, prompt);
    let told = 0;
    const run = async () => {
      for await (const event of generate(llama, [{ embeddings, cache }], { eos: noEos, signal: abort.signal })) {
        if (event.type !== 'token') continue;
        if (++told === 4) abort.abort(reason);
      }
    };
    await assert.rejects(run(), { name: 'AbortedError', message: 'generate: aborted after 4 tokens', cause: reason });
    assert.equal(told, 4);
    assert.deepEqual(cache.lengths, [3 + 3]);
    await assert.rejects(all(llama, [{ embeddings, cache }], { eos: noEos, signal: abort.signal }), {
      name: 'AbortedError',
      message: 'generate: aborted after 0 tokens',
    });
    assert.deepEqual(cache.lengths, [3 + 3]);
    cache.truncate(0, 0);
    const again = await all(llama, [{ embeddings, cache }], { eos: noEos, maxNewTokens: 6 });
    assert.deepEqual(idsOf(again), (await slowly(llama, prompt, 6)).ids);
    cache.dispose();
    llama.dispose();
  });

  test('holds nothing afterwards: at the end, when it is left, aborted or failed', async () => {
    const llama = made().pack();
    const scope = Scope.open();
    const embeddings = concat([embedded(llama, [1, 2, 3]), embedded(llama, [4, 5])], 1);
    const prompts = (count: number): GeneratePrompt[] => Array.from({ length: count }, (_, seed) => ({ embeddings, seed }));
    const constraint = { next: () => ({ forbidden: [1] }), accept: () => undefined };
    const signal = AbortSignal.abort();
    await collectGarbage();
    await synchronize();
    const before = memory(device).liveBytes;
    for (const count of [1, 3]) {
      await all(llama, prompts(count), { eos: noEos, maxNewTokens: 150 });
      await all(
        llama,
        prompts(count).map((one) => ({ ...one, constraint })),
        { eos: noEos, maxNewTokens: 5, temperature: 1 },
      );
      for await (const event of generate(llama, prompts(count), { eos: noEos })) if (event.type === 'token' && event.index === 3) break;
      for await (const _ of generate(llama, prompts(count), { eos: noEos })) break;
      using cache = llama.model.cache();
      llama.model.extend(embeddings, cache).dispose();
      const behind = prompts(count).map((one) => ({ ...one, cache: count === 1 ? undefined : cache }));
      await all(llama, behind, { eos: noEos, maxNewTokens: 5 });
      for await (const event of generate(llama, behind, { eos: noEos })) if (event.type === 'token' && event.index === 3) break;
      await assert.rejects(all(llama, prompts(count), { eos: noEos, signal }));
      await assert.rejects(all(llama, prompts(count), { eos: noEos, temperature: -1 }), { name: 'ArgumentError' });
    }
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
    scope[Symbol.dispose]();
    llama.dispose();
  });

  test('refuses what does not fit', async () => {
    using _scope = Scope.open();
    const llama = made();
    const embeddings = noGradients(() => embedded(llama, [1, 2, 3]));
    const says = (prompts: GeneratePrompt[], options: Partial<GenerateOptions>, message: string) =>
      assert.rejects(all(llama, prompts, { eos: 2, ...options }), { name: 'ArgumentError', message });
    await says([], {}, 'generate: prompts are , expected at least one');
    await says([{ embeddings }], { maxNewTokens: 0 }, 'generate: maxNewTokens is 0, expected an integer from 1');
    await says([{ embeddings }], { prefillTokens: 2.5 }, 'generate: prefillTokens is 2.5, expected an integer from 1');
    await says([{ embeddings }], { eos: [2, -1] }, 'generate: eos is 2,-1, expected ids from 0');
    await says(
      [{ embeddings }, { embeddings: slice(embeddings, 1, 0, 0) }],
      {},
      'generate: embeddings of prompt 1 are [1, 0, 24], expected [1, tokens, dim] of at least one token',
    );
    await says([{ embeddings, capture: [3] }], {}, 'generate: capture of prompt 0 has 3, expected 0 to 2, places in its embeddings');
    using cache = llama.model.cache({ batch: 2 });
    await says([{ embeddings, cache }], {}, 'generate: the cache of prompt 0 has a batch of 2, expected 1');
    using full = llama.model.cache();
    full.lengths[0] = 397;
    await says([{ embeddings, cache: full }], {}, 'generate: prompt 0 is 400 tokens, expected fewer than 400, the context of the model');
    llama.dispose();
  });
});
