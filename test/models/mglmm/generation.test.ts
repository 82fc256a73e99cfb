/** Answers of the whole model with their masks, from every form of its checkpoint. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import {
  cast,
  concat,
  type GeneratePrompt,
  generate,
  imageTokens,
  type MglmmForCausalLM,
  noGradients,
  predictingPlaces,
  reshape,
  Scope,
  type Tensor,
  tidy,
} from '../../../lib';
import { onEveryDevice } from '../../support/devices';
import type { StoredTensor } from '../../support/golden';
import { expectGolden } from '../../support/golden_model';
import { idsOf, imageOf, inputOf, loadGolden, type MglmmGolden, mglmmGoldens, placementsOf } from '../../support/mglmm_golden';

interface Case {
  name: string;
  image: number;
  max_new_tokens: number;
  new_ids: number[];
  seg_in_prompt: number;
  /** Vocabulary of a model that does not know the last ids of the prompt. */
  unknownTo?: number;
}

const kEos = 2;

function promptOf(model: MglmmForCausalLM, golden: MglmmGolden, { name, image, unknownTo }: Case): GeneratePrompt & { ids: number[] } {
  const [stored = []] = idsOf(golden.inputs.get(`generate.${name}.prompt_ids`) as StoredTensor);
  const ids = stored.map((id) => (unknownTo && id >= unknownTo ? unknownTo - 1 : id));
  const embeddings = noGradients(() =>
    tidy(() => model.embed([ids], model.encodeImage(cast(imageOf(inputOf(golden, 'global_images'), image), model.model.dtype)))),
  );
  return { ids, embeddings, capture: predictingPlaces(ids, golden.segId, imageTokens(model.config)) };
}

interface Answer {
  ids: number[];
  states: Tensor[];
  logits: Tensor[];
}

async function answer(model: MglmmForCausalLM, prompts: readonly GeneratePrompt[], segId: number, maxNewTokens: number): Promise<Answer[]> {
  const answers: Answer[] = prompts.map(() => ({ ids: [], states: [], logits: [] }));
  for await (const event of generate(model, prompts, { eos: kEos, maxNewTokens, captureIds: [segId], logits: true })) {
    const one = answers[event.row] as Answer;
    if (event.type === 'prompt') {
      if (event.states) one.states.push(event.states);
    } else {
      one.ids.push(event.id);
      if (event.state) one.states.push(event.state);
      one.logits.push(event.logits as Tensor);
    }
  }
  return answers;
}

for (const golden of mglmmGoldens()) {
  const cases = golden.facts.generation as Case[];
  const expected = (one: Case, what: string) => golden.expected.get(`generate.${one.name}.${what}`);

  onEveryDevice(`golden ${golden.name}, generation`, () => {
    test('there are cases', () => assert.ok(cases.length > 0));

    for (const one of cases) {
      test(one.name, async () => {
        using _scope = Scope.open();
        const model = await loadGolden(golden);
        const { tolerance, segId } = golden;
        const [got] = (await answer(model, [promptOf(model, golden, one)], segId, one.max_new_tokens)) as [Answer];
        assert.deepEqual(got.ids, one.new_ids);
        await expectGolden('logits', concat(got.logits, 0), expected(one, 'logits'), tolerance.default);
        const wanted = expected(one, 'seg_hidden') as StoredTensor;
        const [first, ...rest] = got.states;
        assert.equal(
          got.states.reduce((sum, { shape }) => sum + (shape[0] as number), 0),
          wanted.shape[0],
        );
        if (first) {
          await noGradients(async () => {
            const states = concat([first, ...rest], 0);
            await expectGolden('seg_hidden', states, wanted, tolerance.default);
            const prompts = model.segPrompts(states);
            await expectGolden(
              'seg_embeds',
              reshape(prompts, [prompts.shape[0] as number, prompts.shape[2] as number]),
              expected(one, 'seg_embeds'),
              tolerance.default,
            );
            const embedding = model.sam.encodeImage(imageOf(inputOf(golden, 'grounding_images'), one.image));
            const { lowRes } = model.decodeMasks(embedding, first, ...rest);
            await expectGolden('low_res', lowRes, expected(one, 'low_res'), tolerance.masks);
            const placement = placementsOf(golden)[one.image];
            assert.ok(placement);
            const masks = model.sam.resizeMasks(lowRes, placement);
            await expectGolden(
              'masks',
              reshape(masks, [masks.shape[0] as number, ...placement.original]),
              expected(one, 'masks'),
              tolerance.masks,
            );
          });
        }
        for (const tensor of [...got.states, ...got.logits]) tensor.dispose();
        model.dispose();
      });
    }

    test('all cases as one ragged batch', async () => {
      using _scope = Scope.open();
      const model = await loadGolden(golden);
      const limit = Math.max(...cases.map((one) => one.max_new_tokens));
      const answers = await answer(
        model,
        cases.map((one) => promptOf(model, golden, one)),
        golden.segId,
        limit,
      );
      for (const [row, one] of cases.entries()) {
        const got = answers[row] as Answer;
        assert.deepEqual(got.ids.slice(0, one.new_ids.length), one.new_ids);
        const [alone] = (await answer(model, [promptOf(model, golden, one)], golden.segId, one.max_new_tokens)) as [Answer];
        for (const [i, logits] of alone.logits.entries()) assert.deepEqual(await got.logits[i]?.read(), await logits.read());
        for (const [i, state] of alone.states.entries()) assert.deepEqual(await got.states[i]?.read(), await state.read());
        for (const tensor of [...alone.states, ...alone.logits]) tensor.dispose();
      }
      for (const tensor of answers.flatMap(({ states, logits }) => [...states, ...logits])) tensor.dispose();
      model.dispose();
    });
  });

  const formsPath = join(golden.folder, 'checkpoints/forms.json');
  if (!existsSync(formsPath)) continue;
  const forms = Object.keys(JSON.parse(readFileSync(formsPath, 'utf8')) as object).filter((path) =>
    existsSync(join(golden.folder, path, 'config.json')),
  );
  onEveryDevice(`golden ${golden.name}, forms`, () => {
    for (const form of forms) {
      for (const dtype of ['f32', 'bf16', 'f16'] as const) {
        test(`${form} in ${dtype}`, async () => {
          using _scope = Scope.open();
          const model = await loadGolden(golden, { form, dtype });
          // With another projector or vocabulary it is another model, of which no answers are known.
          const isSame = model.config.projector === 'mlp' && model.config.llama.vocabSize === golden.expected.get('train.logits')?.shape[2];
          for (const one of isSame ? cases : cases.slice(0, 1)) {
            const prompt = promptOf(model, golden, isSame ? one : { ...one, unknownTo: model.config.llama.vocabSize });
            const [got] = (await answer(model, [prompt], golden.segId, one.max_new_tokens)) as [Answer];
            if (isSame) assert.deepEqual(got.ids, one.new_ids);
            else assert.ok(got.ids.length > 0);
            for (const tensor of [...got.states, ...got.logits]) tensor.dispose();
          }
          model.dispose();
        });
      }
    }
  });
}
