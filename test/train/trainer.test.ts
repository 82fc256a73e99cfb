import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import {
  chooseTrainable,
  copyInto,
  type Dtype,
  full,
  noGradients,
  type OpenedModel,
  parseConfig,
  type Schedule,
  Scope,
  type TrainableSet,
  Trainer,
  type TrainerOptions,
} from '../../lib';
import { prepareModel } from '../../lib/train/train';
import { onEveryDevice } from '../support/devices';
import { batchOf, type TinySample, tinySample, tinySizes, tinyTrainable, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

const constant: Schedule = () => 1e-2;

async function trained(
  options: Partial<TrainerOptions> & { dtype?: Dtype; set?: TrainableSet; dropout?: number },
  steps: readonly (readonly (readonly TinySample[])[])[],
): Promise<{ values: Map<string, ArrayLike<number>>; trainer: Trainer; reports: Awaited<ReturnType<Trainer['step']>>[] }> {
  using folder = temporaryFolder();
  using opened = await tinyTrainable(folder.path, options);
  using trainer = new Trainer(opened.model, opened.speech, { schedule: constant, ...options });
  const reports = [];
  for (const micro of steps) reports.push(await trainer.step(micro.map((samples) => batchOf(samples))));
  const values = new Map<string, ArrayLike<number>>();
  for (const [key, parameter] of opened.model.namedParameters()) values.set(key, await parameter.readBits());
  return { values, trainer, reports };
}

const one = (count: number) => [[Array.from({ length: count }, (_, i) => tinySample(i))]];

onEveryDevice('Trainer', () => {
  test('learns from captions and masks in one batch', async () => {
    const steps = Array.from({ length: 12 }, () => [[tinySample(0), tinySample(1), tinySample(2)]]);
    const { reports, trainer } = await trained({ set: 'full', schedule: () => 3e-3 }, steps);
    const [first, last] = [reports[0], reports.at(-1)];
    assert.ok(first && last && last.loss < 0.8 * first.loss, `${first?.loss} became ${last?.loss}`);
    assert.equal(first.hasMasks, true);
    assert.ok(Math.abs(first.loss - first.ceLoss - first.maskLoss) < 1e-4 * first.loss);
    assert.deepEqual(
      [trainer.state.step, trainer.state.counts.samples, trainer.state.counts.masks, trainer.state.counts.skippedSteps],
      [12, 36, 36, 0],
    );
  });

  for (const dtype of ['f32', 'bf16'] as const) {
    test(`gives the same bits each time, dropout and all, in ${dtype}`, async () => {
      const steps = [one(3)[0] as TinySample[][], [[tinySample(2)], [tinySample(4), tinySample(1)]]];
      const [a, b, other] = [
        await trained({ dtype }, steps),
        await trained({ dtype, cacheBytes: 0 }, steps),
        await trained({ dtype, seed: 1 }, steps),
      ];
      for (const [key, values] of a.values) assert.deepEqual(b.values.get(key), values, key);
      const key = 'model.layers.0.self_attn.v_proj.lora_B';
      assert.notDeepEqual(other.values.get(key), a.values.get(key), 'another seed drops others');
      assert.ok(a.trainer.cache.hits > 0 && b.trainer.cache.hits === 0);
    });
  }

  test('gives the same bits when layers are run again for their gradients', async () => {
    const steps = [one(3)[0] as TinySample[][], one(2)[0] as TinySample[][]];
    const options = { set: 'full' as const };
    const [kept, again] = [await trained(options, steps), await trained({ ...options, recompute: true }, steps)];
    for (const [key, values] of kept.values) assert.deepEqual(again.values.get(key), values, key);
  });

  test('adds up gradients: two batches of an update are one of twice the size', async () => {
    const samples = [tinySample(1), tinySample(1)] as const;
    const [apart, together] = [await trained({ dropout: 0 }, [[[samples[0]], [samples[1]]]]), await trained({ dropout: 0 }, [[samples]])];
    const [a, b] = [apart.reports[0], together.reports[0]];
    assert.ok(a && b && Math.abs(a.loss - b.loss) < 1e-5 && Math.abs(a.gradNorm - b.gradNorm) < 1e-4 * b.gradNorm);
  });

  test('trains on many masks, on masks of a pixel, and on pictures without any', async () => {
    const many = tinySample(3, { masks: 60, answer: Array.from({ length: 60 }, () => '[SEG]').join(' ') });
    const base = tinySample(4, { masks: 1 });
    const pixel = { ...base, masks: [Uint8Array.from({ length: base.image.width * base.image.height }, (_, i) => Number(i === 5))] };
    const { reports } = await trained({}, [[[many]], [[pixel]], [[tinySample(0)]]]);
    assert.deepEqual(
      reports.map(({ isApplied, hasMasks }) => [isApplied, hasMasks]),
      [
        [true, true],
        [true, true],
        [true, false],
      ],
    );
  });

  test('reads samples without a picture beside others', async () => {
    const { image: _image, ...text } = tinySample(6, { masks: 0 }).sample;
    const plain = { sample: text, image: undefined as unknown as TinySample['image'], masks: [] };
    const { reports } = await trained({ dropout: 0 }, [[[plain, tinySample(2)]], [[plain]]]);
    assert.deepEqual(
      reports.map(({ samples, isApplied }) => [samples, isApplied]),
      [
        [2, true],
        [1, true],
      ],
    );
  });

  test('leaves alone what a batch has no use for: captions, where the mask decoder alone is trained', async () => {
    using folder = temporaryFolder();
    using opened: OpenedModel = await tinyTrainable(folder.path);
    chooseTrainable(opened.model, ['mask_decoder']);
    using trainer = new Trainer(opened.model, opened.speech, { schedule: constant });
    const [captions, both] = [
      await trainer.step([batchOf([tinySample(0)])]),
      await trainer.step([[tinySample(0)], [tinySample(1)]].map((one) => batchOf(one))),
    ];
    assert.deepEqual([captions.isApplied, both.isApplied, both.samples, trainer.state.counts.skippedSteps], [false, true, 2, 1]);
    assert.ok(captions.loss > 0 && both.gradNorm > 0);
  });

  test('passes over what is not to be trained on, and tells what was left out before', async () => {
    const samples = [tinySample(0), tinySample(1)];
    using folder = temporaryFolder();
    using opened: OpenedModel = await tinyTrainable(folder.path);
    using trainer = new Trainer(opened.model, opened.speech, { schedule: constant, takes: ({ masks }) => masks.length > 0 });
    const report = await trainer.step([{ ...batchOf(samples), skipped: 3 }, batchOf(samples.slice(0, 1))]);
    assert.deepEqual([report.samples, report.skipped, report.badSamples, trainer.state.counts.badSamples], [1, 3, [], 3]);
  });

  test('counts what was cut, and the masks that it left without a [SEG]', async () => {
    const { trainer } = await trained({ maxLength: 330 }, [
      [[tinySample(2, { answer: `<p> a </p> [SEG] ${'then '.repeat(20)} <p> b </p> [SEG]` })]],
    ]);
    const { truncated, surplusTargets, masks } = trainer.state.counts;
    assert.deepEqual({ truncated, surplusTargets, masks }, { truncated: 1, surplusTargets: 2 - masks, masks });
    assert.ok(surplusTargets > 0);
  });

  test('learns the text alone where there are masks and no [SEG], and counts the masks', async () => {
    const { reports, trainer } = await trained({}, [[[tinySample(2, { answer: 'Nothing.' }), tinySample(1)]], [[tinySample(0)]]]);
    assert.deepEqual(
      reports.map(({ isApplied, surplusTargets, truncated }) => [isApplied, surplusTargets, truncated]),
      [
        [true, 2, 0],
        [true, 0, 0],
      ],
    );
    assert.deepEqual([trainer.state.counts.surplusTargets, trainer.state.counts.masks], [2, 1]);
  });

  test('leaves out a step whose gradient is not finite', async () => {
    using folder = temporaryFolder();
    using opened: OpenedModel = await tinyTrainable(folder.path);
    using trainer = new Trainer(opened.model, opened.speech, { schedule: constant });
    const { weight } = opened.model.model.norm;
    const before = await weight.read();
    const set = (value: number) =>
      noGradients(() => {
        using _scope = Scope.open();
        copyInto(full(weight.shape, value), weight);
      });
    set(Number.NaN);
    const broken = await trainer.step([batchOf([tinySample(1)])]);
    assert.equal(broken.isApplied, false);
    set(1);
    assert.deepEqual(await weight.read(), before);
    const good = await trainer.step([batchOf([tinySample(1)])]);
    assert.equal(good.isApplied, true);
    assert.deepEqual([trainer.state.step, trainer.state.counts.skippedSteps, trainer.state.counts.samples], [2, 1, 1]);
    assert.equal(trainer.optimizer.state.get('lm_head.weight')?.step, 1);
    const values = (await opened.model.lmHead?.weight.read()) ?? [];
    assert.ok(Array.from(values).every(Number.isFinite));
  });

  describe('a sample that does not fit', () => {
    const bad: [string, TinySample, string][] = [
      [
        'has more [SEG] than masks',
        {
          ...tinySample(2),
          masks: tinySample(2).masks.slice(1),
          sample: { ...tinySample(2).sample, masks: tinySample(2).sample.masks.slice(1) },
        },
        'sample sample 2: has 2 [SEG] and 1 masks, expected a mask for each [SEG]',
      ],
      [
        'has a mask of another size',
        { ...tinySample(1), masks: [new Uint8Array(5)] },
        'sample sample 1: masks[0] has 5 pixels, expected 17 x 21, those of its image',
      ],
      [
        'has an empty answer',
        tinySample(0, { answer: '' }),
        'sample sample 0: conversation[0] has an empty answer, expected what is to be said',
      ],
      [
        'has no conversation',
        { ...tinySample(0), sample: { ...tinySample(0).sample, conversation: [] } },
        'sample sample 0: has no conversation, expected a question and its answer',
      ],
    ];
    for (const [name, sample, message] of bad) {
      test(`${name}: is named, or counted`, async () => {
        await assert.rejects(trained({}, [[[sample]]]), { name: 'TrainingSampleError', code: 'MGLMM_TRAINING_SAMPLE', message });
        const { reports, trainer } = await trained({ onBadSample: 'skip' }, [[[sample, tinySample(1)]], [[sample]]]);
        assert.deepEqual(
          reports.map(({ samples, isApplied }) => [samples, isApplied]),
          [
            [1, true],
            [0, false],
          ],
        );
        assert.equal(reports[0]?.badSamples[0]?.message, message);
        assert.deepEqual([trainer.state.counts.badSamples, trainer.state.counts.skippedSteps], [2, 1]);
      });
    }

    test('whose answer lies behind the cut', async () => {
      await assert.rejects(trained({ maxLength: 40 }, [[[tinySample(1)]]]), {
        message: 'sample sample 1: has no token of an answer within 40 tokens, expected one at least; its questions are too long',
      });
    });
  });
});

describe('chooseTrainable', () => {
  const keysOf = async (set: Parameters<typeof chooseTrainable>[1]) => {
    using folder = temporaryFolder();
    using opened = await tinyTrainable(folder.path);
    return [...chooseTrainable(opened.model, set).keys()];
  };

  test('knows the published choices', async () => {
    const published = await keysOf('mglmm');
    const has = (keys: readonly string[], part: string) => keys.some((key) => key.includes(part));
    for (const part of ['lora_A', 'lora_B', 'embed_tokens', 'lm_head', 'mm_projector', 'text_hidden_fcs', 'mask_decoder'])
      assert.ok(has(published, part), part);
    for (const part of ['image_encoder', 'prompt_encoder', 'vision_tower', 'model.layers.0.self_attn.q_proj.weight', 'model.norm'])
      assert.ok(!has(published, part), part);
    for (const set of ['lisa', 'glamm'] as const)
      assert.deepEqual(
        await keysOf(set),
        published.filter((key) => !key.includes('mm_projector')),
      );
    assert.deepEqual(
      await keysOf('lora'),
      published.filter((key) => key.includes('lora_')),
    );
    const full = await keysOf('full');
    assert.ok(has(full, 'image_encoder') && has(full, 'vision_tower') && !has(full, 'gaussian_matrix'));
  });

  test('trains of a published choice what a model has: one may make no masks, or have no head of its own', async () => {
    using folder = temporaryFolder();
    const { segment_encoder_config: _, ...blind } = tinySizes;
    const sizes = { ...blind, text_config: { ...blind.text_config, tie_word_embeddings: true } };
    const given = { model: { sizes, tokenizer: writeTinyTokenizer(folder.path) }, data: [{ path: 'none' }], output: 'none', lora: null };
    using opened = await prepareModel(parseConfig(given), { values: false });
    const trained = [...opened.model.namedParameters()].flatMap(([key, { requiresGrad }]) => (requiresGrad ? [key] : []));
    for (const part of ['embed_tokens', 'mm_projector', 'model.layers.0.self_attn.q_proj', 'model.norm'])
      assert.ok(
        trained.some((key) => key.includes(part)),
        part,
      );
    assert.ok(!trained.some((key) => key.includes('vision_tower')));
  });

  test('takes patterns, and refuses those that say nothing', async () => {
    assert.deepEqual(await keysOf(['^lm_head']), ['lm_head.weight']);
    await assert.rejects(keysOf(['nowhere']), { name: 'ArgumentError', message: /no parameter matches "nowhere"; there are model\./ });
    await assert.rejects(keysOf(['(']), { name: 'ArgumentError', message: /"\(" is no regular expression/ });
  });
});
