/** Parity with Segment Anything: every tensor of every MGLMM_GOLDEN/sam-*. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { add, backward, maskLoss, noGradients, reshape, Scope, scale, slice, type Tensor, zeros } from '../../../lib';
import { inferSamConfig, parseSamConfig } from '../../../lib/models/sam/config';
import { Sam } from '../../../lib/models/sam/model';
import type { SamBox, SamPoint, SamPrompts } from '../../../lib/models/sam/prompt_encoder';
import { onEveryDevice } from '../../support/devices';
import { readSafetensors, type StoredTensor, toTensor } from '../../support/golden';
import { expectGolden, type GoldenTolerance, type ModelGolden, modelGoldens, stateOf } from '../../support/golden_model';

interface SamJson {
  input_sizes: [number, number][];
  original_sizes: [number, number][];
  bce_loss_weight: number;
  dice_loss_weight: number;
  zero_gradient_parameters: string[];
  tolerance: { default: GoldenTolerance; grad: GoldenTolerance; float32_noise: { grad: number } };
}

/** Rows of a stored tensor's first axis as arrays of `size` numbers each. */
const rowsOf = ({ values }: StoredTensor, size: number): number[][] =>
  Array.from({ length: values.length / size }, (_, i) => Array.from(values.slice(i * size, (i + 1) * size)));

const pointsOf = (points: StoredTensor, labels: StoredTensor): SamPoint[][] => {
  const places = rowsOf(points, 2);
  return rowsOf(labels, labels.shape[1]!).map((row, i) =>
    row.map((label, j) => {
      const [x, y] = places[i * row.length + j] as [number, number];
      return { x, y, label: label as SamPoint['label'] };
    }),
  );
};

/** The prompts that a golden names by KIND. */
function promptsOf(kind: string, inputs: Map<string, StoredTensor>): SamPrompts {
  const given = (name: string) => inputs.get(name)!;
  const points = () => pointsOf(given('points'), given('point_labels'));
  const boxes = () => rowsOf(given('boxes'), 4) as unknown as SamBox[];
  const masks = () => toTensor(given('mask_prompt'));
  const kinds: Record<string, () => SamPrompts> = {
    text: () => ({ text: toTensor(given('text_embeds.0')) }),
    points: () => ({ points: points() }),
    boxes: () => ({ boxes: boxes() }),
    masks: () => ({ masks: masks() }),
    all: () => ({ points: points(), boxes: boxes(), masks: masks(), text: toTensor(given('all_text_embeds')) }),
  };
  const prompts = kinds[kind];
  assert.ok(prompts, `the golden has prompts of the unknown kind ${kind}`);
  return prompts();
}

const loaded = ({ folder, config }: ModelGolden): Sam => {
  const sam = new Sam(parseSamConfig(config));
  sam.load(stateOf(join(folder, 'weights.safetensors')));
  return sam;
};

const shapesOf = (path: string) => new Map([...readSafetensors(path)].map(([name, { shape }]) => [name, shape]));

/** The embedding of one image of a batch. */
const imageOf = (embeddings: Tensor, index: number): Tensor => slice(embeddings, 0, index, index + 1);

onEveryDevice('sam', () => {
  for (const golden of modelGoldens((config) => 'encoder_embed_dim' in config)) {
    const { name, inputs, expected } = golden;
    const json = golden.config as unknown as SamJson;
    const { default: tolerance, grad } = json.tolerance;
    // A gradient that is 0 in exact arithmetic, such as that of a bias of keys, is rounding noise in f32.
    const gradTolerance = { ...grad, atol: json.tolerance.float32_noise.grad };
    const pixels = () => toTensor(inputs.get('pixels')!);

    describe(name, () => {
      test('sizes from shapes', () => {
        const config = parseSamConfig(golden.config);
        assert.deepEqual(
          inferSamConfig(shapesOf(join(golden.folder, 'weights.safetensors')), { decoderHeads: config.decoderHeads }),
          config,
        );
      });

      for (const packed of [false, true])
        test(`encodes images${packed ? ', packed' : ''}`, async () => {
          using _scope = Scope.open();
          const sam = loaded(golden);
          if (packed) sam.pack();
          let tokens = sam.imageEncoder.embed(pixels());
          await expectGolden('encoder.stage0', tokens, expected.get('encoder.stage0'), tolerance);
          for (const [i, block] of sam.imageEncoder.blocks.entries()) {
            tokens = block.forward(tokens);
            await expectGolden(`encoder.stage${i + 1}`, tokens, expected.get(`encoder.stage${i + 1}`), tolerance);
          }
          await expectGolden('image_embeddings', sam.encodeImage(pixels()), expected.get('image_embeddings'), tolerance);
          sam.dispose();
        });

      const kinds = [...new Set([...expected.keys()].flatMap((key) => /^(?:prompt|decode)\.(\w+)\./.exec(key)?.[1] ?? []))];
      test('has prompts', () => assert.ok(kinds.length > 0));
      for (const kind of kinds) {
        test(`encodes prompts: ${kind}`, async () => {
          using _scope = Scope.open();
          const sam = loaded(golden);
          await expectGolden('dense_pe', sam.promptEncoder.densePe(), expected.get('dense_pe'), tolerance);
          const encoded = sam.promptEncoder.forward(promptsOf(kind, inputs));
          for (const part of ['sparse', 'dense'] as const) {
            const wanted = expected.get(`prompt.${kind}.${part}`);
            if (wanted) await expectGolden(part, encoded[part], wanted, tolerance);
          }
          sam.dispose();
        });

        for (const outputs of ['single', 'multi']) {
          const wanted = expected.get(`decode.${kind}.${outputs}.low_res`);
          if (!wanted) continue;
          for (const packed of [false, true])
            test(`decodes ${kind}, ${outputs}${packed ? ', packed' : ''}`, async () => {
              using _scope = Scope.open();
              const sam = loaded(golden);
              if (packed) sam.pack();
              const embedding = imageOf(toTensor(expected.get('image_embeddings')!), 0);
              const options = { multimask: outputs === 'multi' };
              const { lowRes, iou } = noGradients(() => sam.decode(embedding, promptsOf(kind, inputs), options));
              await expectGolden('low_res', lowRes, wanted, tolerance);
              await expectGolden('iou', iou, expected.get(`decode.${kind}.${outputs}.iou`), tolerance);
              sam.dispose();
            });
        }
      }

      test('trains', async () => {
        using _scope = Scope.open();
        const sam = loaded(golden).train((key) => expected.has(`grad.${key}`) || json.zero_gradient_parameters.includes(key));
        const texts = json.input_sizes.map((_, i) => toTensor(inputs.get(`text_embeds.${i}`)!));
        for (const [i, text] of texts.entries()) text.requiresGrad = expected.has(`grad.text_embeds.${i}`);
        const embeddings = sam.encodeImage(pixels());
        const decoded = json.input_sizes.map((_, i) => sam.decode(imageOf(embeddings, i), { text: texts[i]! }).lowRes);
        const masks = decoded.map((lowRes, i) =>
          sam.resizeMasks(lowRes, { resized: json.input_sizes[i]!, original: json.original_sizes[i]! }),
        );
        const count = texts.reduce((sum, { shape }) => sum + shape[0]!, 0);
        const losses = decoded.map((lowRes, i) => {
          const [n, , height, width] = lowRes.shape as [number, number, number, number];
          const placement = { inputSize: sam.config.imageSize, resized: json.input_sizes[i]! };
          return maskLoss(reshape(lowRes, [n, height, width]), toTensor(inputs.get(`gt_masks.${i}`)!), { placement, count });
        });
        const bce = scale(losses.map((loss) => loss.bce).reduce(add), json.bce_loss_weight);
        const dice = scale(losses.map((loss) => loss.dice).reduce(add), json.dice_loss_weight);
        const loss = add(bce, dice);
        for (const [i, one] of masks.entries()) {
          const wanted = expected.get(`train.${i}.masks`)!;
          await expectGolden(`train.${i}.masks`, reshape(one, wanted.shape), wanted, tolerance);
        }
        for (const [key, one] of Object.entries({ bce, dice, loss }))
          await expectGolden(`train.${key}`, one, expected.get(`train.${key}`), tolerance);
        backward(loss);
        const parameters = sam.stateDict();
        for (const key of json.zero_gradient_parameters) assert.equal(parameters.get(key)?.grad, undefined, key);
        const gradients = [...expected].filter(([key]) => key.startsWith('grad.'));
        for (const [key, wanted] of gradients) {
          const source = key.slice('grad.'.length);
          const actual = (parameters.get(source) ?? texts[Number(/^text_embeds\.(\d+)$/.exec(source)?.[1])])?.grad;
          await expectGolden(key, actual ?? zeros(wanted.shape), wanted, gradTolerance); // what no path leads to has none
          actual?.dispose();
        }
        sam.dispose();
      });
    });
  }
});
