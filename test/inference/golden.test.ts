/** What answers are made of, against the goldens, on every form of the checkpoint and with the caches cold, warm and off. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { type Answer, cast, concat, generate, imageTokens, rowsView, Scope, type Tensor } from '../../lib';
import { answeringOne } from '../../lib/inference/answering';
import { Conversation } from '../../lib/inference/conversation';
import type { Engine } from '../../lib/inference/engine';
import { loadEngine } from '../../lib/inference/load_engine';
import type { Picture } from '../../lib/inference/picture';
import { imageId } from '../../lib/text/tokens';
import { onEveryDevice } from '../support/devices';
import type { StoredTensor } from '../support/golden';
import { expectGolden } from '../support/golden_model';
import { idsOf, inputOf, type MglmmGolden, mglmmGoldens, placementsOf } from '../support/mglmm_golden';
import { tinyModel } from '../support/tiny_model';

interface Case {
  name: string;
  image: number;
  max_new_tokens: number;
  new_ids: number[];
  seg_in_prompt: number;
}

/** A picture of which the golden knows only what the models are given. */
function pictureOf(golden: MglmmGolden, image: number): Picture {
  const placement = placementsOf(golden)[image]!;
  const pixels = (name: string, dtype: Tensor['dtype']) => cast(rowsView(inputOf(golden, name), image, image + 1), dtype);
  const [height, width] = placement.original;
  return {
    hash: `golden ${image}`,
    width,
    height,
    clipPixels: (_config, dtype) => pixels('global_images', dtype),
    samPixels: (_config, dtype) => ({ pixels: pixels('grounding_images', dtype), placement }),
  };
}

/** A model that does not know the last ids of a prompt gets its last one instead. */
function promptIds({ inputs }: MglmmGolden, { name }: Case, vocabSize: number): number[] {
  const [ids = []] = idsOf(inputs.get(`generate.${name}.prompt_ids`) as StoredTensor);
  return ids.map((id) => Math.min(id, vocabSize - 1));
}

async function answer(engine: Engine, golden: MglmmGolden, one: Case): Promise<Answer> {
  const ids = promptIds(golden, one, engine.model.config.llama.vocabSize);
  const question = { engine, picture: pictureOf(golden, one.image), ids, askedMs: 0, imageMs: 0 };
  const events = answeringOne(question, { stops: [], maxNewTokens: one.max_new_tokens });
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
  }
}

/** The states that predict the `[SEG]`s of the answer. */
async function expectStates(engine: Engine, golden: MglmmGolden, one: Case): Promise<void> {
  using _scope = Scope.open();
  using conversation = new Conversation(engine, pictureOf(golden, one.image));
  using ready = await conversation.ready(promptIds(golden, one, engine.model.config.llama.vocabSize), undefined);
  const states: Tensor[] = [];
  const options = { eos: engine.tokenizer.eos, maxNewTokens: one.max_new_tokens, captureIds: [golden.segId] };
  for await (const event of generate(engine.model, [ready.prompt], options)) {
    if (event.type === 'token' && event.state) states.push(event.state);
  }
  const { shape, values } = golden.expected.get(`generate.${one.name}.seg_hidden`) as StoredTensor;
  const [count, dim] = shape as [number, number];
  assert.equal(states.length, count - one.seg_in_prompt);
  const wanted = { shape: [states.length, dim], values: values.slice(one.seg_in_prompt * dim) } as StoredTensor;
  if (states.length > 0) await expectGolden('seg_hidden', concat(states, 0), wanted, golden.tolerance.default);
  for (const state of states) state.dispose();
}

/** Pixels whose logit is so small that its sign is within the tolerance may be of either side. */
async function expectMasks(golden: MglmmGolden, one: Case, { segments }: Answer): Promise<void> {
  const { shape, values } = golden.expected.get(`generate.${one.name}.masks`) as StoredTensor;
  const [count, height, width] = shape as [number, number, number];
  assert.equal(segments.length, count - one.seg_in_prompt);
  const largest = Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const { atol_rel_max: relative = 0 } = golden.tolerance.masks ?? {};
  for (const [i, { mask }] of segments.entries()) {
    assert.deepEqual(mask.rle.size, [height, width]);
    const pixels = await mask.pixels();
    const begin = (i + one.seg_in_prompt) * height * width;
    for (const [at, pixel] of pixels.entries()) {
      const logit = values[begin + at] as number;
      if (Math.abs(logit) > relative * largest) assert.equal(pixel, Number(logit > 0), `mask ${i}, pixel ${at}: its logit is ${logit}`);
    }
  }
}

/** How often each network is given a picture from here on. */
function seen({ model }: Engine): { clip: number; sam: number } {
  const counts = { clip: 0, sam: 0 };
  const counted = <Of extends { embed(pixels: Tensor): Tensor }>(network: Of, name: keyof typeof counts) => {
    const { embed } = network;
    network.embed = (pixels) => {
      counts[name]++;
      return embed.call(network, pixels);
    };
  };
  counted(model.clip, 'clip');
  counted(model.sam.imageEncoder, 'sam');
  return counts;
}

interface Form {
  equals: string;
}

for (const golden of mglmmGoldens()) {
  const cases = golden.facts.generation as Case[];
  const path = join(golden.folder, 'checkpoints/forms.json');
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, Form>) : {};
  const forms = { ...known, [golden.config.checkpoint as string]: { equals: 'exact' } };
  const vocabSize = golden.expected.get('train.logits')?.shape[2];

  onEveryDevice(`golden ${golden.name}`, (device) => {
    test('there are cases', () => assert.ok(cases.length > 0));

    test('each picture is given to each network once, and what stands up to it is read once', async () => {
      using folder = tinyModel(golden);
      const engine = await loadEngine(folder.path, { device, dtype: 'f32' });
      const counts = seen(engine);
      const [of, prompts] = [new Set(cases.map(({ image }) => image)), new Set<string>()];
      for (let round = 0; round < 3; round++) {
        for (const one of cases) {
          const { usage } = await answer(engine, golden, one);
          const ids = promptIds(golden, one, engine.model.config.llama.vocabSize);
          const prefix = `${one.image} ${ids.slice(0, ids.indexOf(imageId) + 2)}`;
          const read = imageTokens(engine.model.config) + ids.indexOf(imageId) + 1;
          assert.equal(usage.cachedTokens, prompts.has(prefix) ? read : 0);
          prompts.add(prefix);
        }
      }
      assert.equal(counts.clip, of.size);
      assert.equal(counts.sam, new Set(cases.filter((one) => one.new_ids.includes(golden.segId)).map(({ image }) => image)).size);
      engine.cache[Symbol.dispose]();
      engine.model.dispose();
    });

    for (const [form, { equals }] of Object.entries(forms)) {
      if (!existsSync(join(golden.folder, form, 'config.json'))) continue;
      for (const cacheBytes of [undefined, 0]) {
        test(`${form}: ids, states and masks, asked twice, ${cacheBytes === 0 ? 'nothing kept' : 'with the cache on'}`, async () => {
          using folder = tinyModel(golden, form);
          const engine = await loadEngine(folder.path, { device, dtype: 'f32', cacheBytes });
          const { config } = engine.model;
          // With another projector or vocabulary it is another model, of which no answers are known.
          const isSame = config.projector === 'mlp' && config.llama.vocabSize === vocabSize;
          for (const one of cases) {
            const [first, second] = [await answer(engine, golden, one), await answer(engine, golden, one)];
            if (isSame) assert.deepEqual(first.ids, one.new_ids);
            if (isSame && equals === 'exact') await expectMasks(golden, one, first);
            if (isSame && equals === 'exact') await expectStates(engine, golden, one);
            assert.deepEqual([second.ids, second.text, second.segments], [first.ids, first.text, first.segments]);
            assert.equal(second.timings.cached.prefix, cacheBytes === undefined);
            assert.equal(second.usage.cachedTokens > 0, cacheBytes === undefined);
          }
          engine.cache[Symbol.dispose]();
          engine.model.dispose();
        });
      }
    }
  });
}
