/** Several adapters over one base: each answers as if it were alone, and the base as if there were none. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from '@jest/globals';
import {
  type Answer,
  type AnswerRequest,
  cast,
  loadAdapter,
  loadModule,
  Mglmm,
  MglmmForCausalLM,
  memory,
  mglmmConfigOf,
  noGradients,
  openModelFolder,
  Scope,
  tensor,
} from '../../lib';
import { adaptedModel } from '../../lib/inference/adapted_model';
import { recordCalls } from '../fuzz/recorded';
import { mglmm } from '../support/command';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { published, writeTinyAdapter } from '../support/tiny_adapter';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const said = ({ ids, text, segments, finish }: Answer) => ({ ids, text, segments, finish });
const image = picture(37, 51);
const request: AnswerRequest = { image, prompt: 'Where is it?', maxNewTokens: 24, forceSegmentation: true };
const kinds = ['f32', 'bf16', 'int8', 'int4'] as const;

for (const golden of mglmmGoldens()) {
  onEveryDevice(`adapters of ${golden.name}`, (device) => {
    /** `lora` changes the language model alone, `all` what the published code trains. */
    const written = async (folder: string) => ({
      lora: await writeTinyAdapter(golden, join(folder, 'lora'), { seed: 1 }),
      all: await writeTinyAdapter(golden, join(folder, 'all'), { seed: 1000, whole: published }),
    });

    test.each(kinds)('give the very numbers of a model that is changed in place: %s', async (kind) => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const files = await openModelFolder(base.path);
      const dtype = kind === 'f32' ? 'f32' : 'bf16';
      const fewBits = kind === 'int8' || kind === 'int4' ? kind : undefined;
      const quantize = (key: string) => {
        if (key === 'lm_head.weight') return fewBits && 'int8';
        return /^model\.layers.*_proj\.weight$/.test(key) ? fewBits : undefined;
      };
      const adapters = {
        ...(await written(folder.path)),
        // A bias alone, whose weight is the base's, LoRA where weights are taken apart, and around parts of the encoders.
        odd: await writeTinyAdapter(golden, join(folder.path, 'odd'), {
          seed: 2000,
          whole: /mm_projector\.0\.bias|image_encoder\.pos_embed/,
          layers: /mask_decoder.*cross_attn.*_proj$|vision_tower.*v_proj$|mlp\.up_proj$/,
        }),
      };
      const shared = new MglmmForCausalLM(mglmmConfigOf(files), { dtype });
      await loadModule(shared, files.sources, { pack: true, quantize });
      const before = await numbersOf(shared);
      for (const path of Object.values(adapters)) {
        const changed = new MglmmForCausalLM(mglmmConfigOf(files), { dtype });
        await loadModule(changed, files.sources);
        await loadAdapter(path, changed);
        for (const one of ['int8', 'int4'] as const) changed.quantize(one, (key) => quantize(key) === one);
        const expected = await numbersOf(changed.pack());
        changed.dispose();
        using adapted = await adaptedModel(shared, path, { tensors: files.tensors, quantize });
        const got = await numbersOf(adapted.model);
        assert.deepEqual(got, expected);
        assert.notDeepEqual(got, before);
      }
      assert.deepEqual(await numbersOf(shared), before);
      shared.dispose();
    });

    test('answer by name, at once, and beside the base', async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { lora, all } = await written(folder.path);
      await using model = await Mglmm.load(base.path, { device });
      const before = said(await model.answer(request));
      await model.loadAdapter('lora', lora);
      await model.loadAdapter('all', all);
      assert.deepEqual(model.adapters, ['lora', 'all']);
      const alone: Record<string, ReturnType<typeof said>> = { base: before };
      for (const [name, path] of Object.entries({ lora, all })) {
        await using single = await Mglmm.load(base.path, { device });
        await single.loadAdapter('only', path);
        alone[name] = said(await single.answer({ ...request, adapter: 'only' }));
        assert.notDeepEqual(alone[name], before, name);
      }
      assert.notDeepEqual(alone.lora, alone.all);
      for (let round = 0; round < 2; round++) {
        const names = ['all', undefined, 'lora', 'all'];
        const answers = await Promise.all(names.map((adapter) => model.answer({ ...request, adapter })));
        for (const [i, answer] of answers.entries()) assert.deepEqual(said(answer), alone[names[i] ?? 'base'], names[i]);
      }
      const rows = [{ adapter: 'lora' }, {}, { adapter: 'all' }, { adapter: 'lora' }];
      const { image: _image, prompt, ...options } = request;
      let mixed: Answer[] = [];
      const calls = await recordCalls(async () => {
        mixed = await model.answerAll(
          rows.map((row) => ({ image, prompt, ...row })),
          options,
        );
      }, Number.POSITIVE_INFINITY);
      assert.ok(
        calls.some(({ op }) => op === 'addLoraByRow'),
        'they do not share the passes through the base',
      );
      for (const [i, answer] of mixed.entries()) assert.deepEqual(said(answer), alone[rows[i]?.adapter ?? 'base']);
      const byDefault = await model.answerAll([{ image, prompt }], { ...options, adapter: 'all' });
      assert.deepEqual(byDefault.map(said), [alone.all]);
    });

    test('is as a merged model, in f32', async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { all } = await written(folder.path);
      const { code, err } = await mglmm(['merge', all, join(folder.path, 'merged'), '--base', base.path]);
      assert.equal(code, 0, err);
      await using model = await Mglmm.load(base.path, { device, dtype: 'f32' });
      await using merged = await Mglmm.load(join(folder.path, 'merged'), { device, dtype: 'f32' });
      await model.loadAdapter('all', all);
      const answer = await model.answer({ ...request, adapter: 'all' });
      assert.deepEqual(answer.ids, (await merged.answer(request)).ids);
    });

    test('hold the base once, and keep what they read of a picture apart', async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { lora, all } = await written(folder.path);
      await using model = await Mglmm.load(base.path, { device });
      await collectGarbage();
      const before = memory(device).liveBytes + memory(device).mappedBytes;
      await model.loadAdapter('lora', lora);
      const held = memory(device).liveBytes + memory(device).mappedBytes - before;
      assert.ok(held > 0 && held < before / 20, `${held} bytes more than ${before}`);
      await model.loadAdapter('all', all);
      const cached = async (adapter?: string) => (await model.answer({ ...request, adapter })).timings.cached;
      await model.answer(request);
      // LoRA in the language model leaves CLIP, the projector and SAM's encoder as they are; the other changed the projector.
      assert.deepEqual(await cached('lora'), { features: true, prefix: false, embedding: true });
      assert.deepEqual(await cached('all'), { features: false, prefix: false, embedding: true });
      for (const adapter of [undefined, 'lora', 'all']) assert.equal((await cached(adapter)).prefix, true);
      using encoded = await model.encodeImage(picture(20, 20), { adapter: 'all' });
      const answer = await model.answer({ ...request, image: encoded, adapter: 'all' });
      assert.equal(answer.timings.cached.prefix, true);
    });

    test('chat and explore by name; a chat that turns to another begins to read anew', async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { all } = await written(folder.path);
      await using model = await Mglmm.load(base.path, { device });
      await model.loadAdapter('all', all);
      const asked = { maxNewTokens: 6 };
      const talk = async (adapters: readonly (string | undefined)[]) => {
        const chat = model.chat({ image, ...asked });
        const answers: Answer[] = [];
        for (const [i, adapter] of adapters.entries()) answers.push(await chat.ask(`Question ${i}?`, { adapter }));
        await chat.dispose();
        return answers;
      };
      const [own, turned] = [await talk(['all', 'all']), await talk(['all', undefined])];
      assert.deepEqual(said(own[0] as Answer), said(await model.answer({ image, prompt: 'Question 0?', ...asked, adapter: 'all' })));
      assert.notDeepEqual(turned[1]?.ids, own[1]?.ids);
      assert.ok((turned[1]?.usage.cachedTokens ?? 0) < (own[1]?.usage.cachedTokens ?? 0));
      const explored = async (adapter?: string) => (await model.explore(image, { ...asked, depth: 1, adapter })).text;
      assert.notEqual(await explored('all'), await explored());
    });

    test('come and go: what runs ends, what comes later is refused, nothing is left', async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { all } = await written(folder.path);
      await using model = await Mglmm.load(base.path, { device, cacheBytes: 0 });
      await model.loadAdapter('a', all);
      const expected = said(await model.answer({ ...request, adapter: 'a' }));
      await model.unloadAdapter('a');
      await collectGarbage();
      const before = memory(device).liveBytes;
      for (let i = 0; i < 5; i++) {
        await model.loadAdapter('a', all);
        const running = model.answer({ ...request, adapter: 'a' });
        const leaving = model.unloadAdapter('a');
        await assert.rejects(model.answer({ ...request, adapter: 'a' }), {
          name: 'ArgumentError',
          message: 'answer: adapter is "a", expected one that loadAdapter has opened; there are none',
        });
        await leaving;
        assert.deepEqual(said(await running), expected);
      }
      await model.loadAdapter('a', all);
      const encoding = model.encodeImage(image, { adapter: 'a' });
      await model.unloadAdapter('a');
      (await encoding).dispose();
      await model.loadAdapter('a', all);
      const stream = model.stream({ ...request, adapter: 'a' });
      await stream.next();
      await model.unloadAdapter('a');
      await assert.rejects(stream.next(), { name: 'DisposedError', message: 'the adapter a was disposed' });
      await collectGarbage();
      assert.equal(memory(device).liveBytes, before);
    });

    test("that are none, or another model's, are refused", async () => {
      using base = tinyModel(golden);
      using folder = temporaryFolder();
      const { lora } = await written(folder.path);
      await using model = await Mglmm.load(base.path, { device });
      await model.loadAdapter('a', lora);
      const says = (body: Promise<unknown>, message: RegExp, name = 'ArgumentError') => assert.rejects(body, { name, message });
      await says(model.loadAdapter('a', lora), /^loadAdapter: a is there already, expected another name, or unloadAdapter first$/);
      await says(model.loadAdapter('', lora), /^loadAdapter: name is "", expected a name for requests$/);
      await says(model.loadAdapter('b', 5 as never), /^loadAdapter: folder is 5, expected that of a PEFT adapter$/);
      await says(
        model.loadAdapter('b', base.path),
        /has no adapter_config\.json, expected the folder of a PEFT adapter$/,
        'CheckpointError',
      );
      await says(model.loadAdapter('b', lora, { signal: AbortSignal.abort() }), /^loading was aborted before/, 'AbortedError');
      await says(model.unloadAdapter('b'), /^unloadAdapter: adapter is "b", expected one of a$/);
      await says(model.answer({ ...request, adapter: 'b' }), /^answer: adapter is "b", expected one of a$/);
      await says(model.answer({ ...request, adapter: 3 as never }), /^answer: adapter is 3, expected a string$/);
      await says(model.answerAll([{ image, prompt: 'x', adapter: 'b' }]), /^answerAll: adapter is "b"/);
      await says(model.explore(image, { adapter: 'b' }), /^explore: adapter is "b"/);
      await says(model.encodeImage(image, { adapter: 'b' }), /^encodeImage: adapter is "b"/);
      await says(model.chat({ image, adapter: 'b' }).ask('x'), /^chat: adapter is "b"/);
      const [one, other] = await Promise.allSettled([model.loadAdapter('c', lora), model.loadAdapter('c', lora)]);
      assert.deepEqual([one?.status, other?.status].sort(), ['fulfilled', 'rejected']);
      await model.dispose();
      await says(model.loadAdapter('d', lora), /^the model was disposed$/, 'DisposedError');
    });
  });
}

/** Logits of a text with an image, and a mask of it. */
async function numbersOf(model: MglmmForCausalLM): Promise<ArrayLike<number>[]> {
  using _scope = Scope.open();
  return await noGradients(async () => {
    const { clip, sam } = model.config;
    const pixels = (size: number) => randn([1, 3, size, size], size, model.model.dtype);
    const embeddings = model.embed([[1, -200, 9, 30, 12]], model.encodeImage(pixels(clip.imageSize)));
    const cache = model.model.cache();
    const states = model.model.extend(embeddings, cache);
    const last = tensor(new Float32Array(await states.read()).slice(-(states.shape[2] as number)), [1, states.shape[2] as number]);
    const logits = await model.logits(states).read();
    const { lowRes } = model.decodeMasks(model.sam.encodeImage(pixels(sam?.imageSize ?? 0)), cast(last, model.model.dtype));
    cache.dispose();
    return [logits, await lowRes.read()];
  });
}
