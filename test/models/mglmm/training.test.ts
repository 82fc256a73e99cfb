/** The training step of the whole model: logits, masks, losses, every gradient, five steps of the optimiser, merged LoRA. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from '@jest/globals';
import {
  AdamW,
  addLora,
  backward,
  concat,
  imageTokens,
  labelsWithImage,
  type MglmmForCausalLM,
  nn,
  noGradients,
  type Objective,
  objective,
  type Placement,
  reshape,
  Scope,
  type Tensor,
  type TrainingForward,
  teacherForcing,
  tensor,
} from '../../../lib';
import { onEveryDevice } from '../../support/devices';
import type { StoredTensor } from '../../support/golden';
import { expectGolden, type GoldenTolerance, stateOf } from '../../support/golden_model';
import { idsOf, imageOf, inputOf, loadGolden, type MglmmGolden, mglmmGoldens, placementsOf } from '../../support/mglmm_golden';

interface Losses {
  loss: number;
  ce_loss: number;
  mask_bce_loss: number;
  mask_dice_loss: number;
  mask_loss: number;
  grad_norm?: number;
}
interface Facts {
  losses: Record<string, Losses>;
  grad_norm: number;
  zero_gradient_parameters: string[];
  vanishing_gradient_parameters: string[];
  five_steps: { losses: Losses[]; parameters_after: Record<string, { sum: number; index: number[]; value: number[] }> };
}

const trained = /lora_[AB]$|mm_projector|text_hidden_fcs|mask_decoder|embed_tokens|lm_head/;
/** As PEFT names a LoRA matrix. */
const storedName = (key: string) => key.replace(/lora_([AB])$/, 'lora_$1.default.weight');
const near = (name: string, got: number, wanted: number, { atol = 0, rtol = 0 }: GoldenTolerance) =>
  assert.ok(Math.abs(got - wanted) <= atol + rtol * Math.abs(wanted), `${name} is ${got}, expected ${wanted}`);

async function trainable(golden: MglmmGolden): Promise<MglmmForCausalLM> {
  const model = await loadGolden(golden);
  const { r: rank, alpha, target_modules: targets } = golden.config.lora as { r: number; alpha: number; target_modules: string[] };
  addLora(model, { rank, alpha, targets }, 0);
  model.loadSome(
    new Map([...stateOf(join(golden.folder, 'lora.safetensors'))].map(([name, one]) => [name.replace('.default.weight', ''), one])),
  );
  return model.train((key) => trained.test(key));
}

interface Variant {
  /** What `[SEG]` becomes in the first image's conversations. */
  firstSeg?: number;
  masks?: boolean;
  extraMasks?: boolean;
  recompute?: boolean;
}

function forward(golden: MglmmGolden, model: MglmmForCausalLM, { firstSeg, masks = true, extraMasks, recompute }: Variant = {}) {
  const { segId, inputs, config } = golden;
  const { offset } = config.batch as { offset: number[] };
  const changed = (rows: number[][]) =>
    rows.map((row, i) => (firstSeg !== undefined && i < (offset[1] as number) ? row.map((id) => (id === segId ? firstSeg : id)) : row));
  const stored = (name: string) => changed(idsOf(inputs.get(name) as StoredTensor));
  const inputIds = stored('input_ids');
  const lengths = stored('attention_mask').map((row) => row.reduce((sum, one) => sum + one, 0));
  const grounding = inputOf(golden, 'grounding_images');
  const images = offset.length - 1;
  const embeddings = masks
    ? Array.from({ length: images }, (_, i) => noGradients(() => model.sam.encodeImage(imageOf(grounding, i))))
    : undefined;
  const batch = { inputIds, lengths, pixels: inputOf(golden, 'global_images'), offset, embeddings, placements: placementsOf(golden) };
  const result = teacherForcing(model, batch, segId, { recompute });
  const labels = stored('labels').map((row, i) => labelsWithImage(inputIds[i] as number[], row, imageTokens(model.config), -100));
  const gtMasks = Array.from({ length: images }, (_, i) => {
    if (firstSeg !== undefined && i === 0) return undefined;
    const own = inputOf(golden, `gt_masks.${i}`);
    const extra = extraMasks && inputs.has(`extra_gt_masks.${i}`) ? inputOf(golden, `extra_gt_masks.${i}`) : undefined;
    return extra ? noGradients(() => joined(own, extra)) : own;
  });
  const { ce, bce, dice } = config.loss_weights as { ce: number; bce: number; dice: number };
  const losses = objective(
    {
      states: result.states,
      head: model.lmHead?.weight as Tensor,
      labels: tensor(labels.flat(), [labels.length, labels[0]?.length as number], 'i32'),
      predMasks: result.predMasks,
      placements: result.placements,
      gtMasks,
    },
    { ce, bce, dice },
  );
  return { ...result, losses, lengths, tokens: labels[0]?.length as number };
}

const joined = (a: Tensor, b: Tensor) => concat([a, b], 0);

async function expectLosses(name: string, got: Objective, wanted: Losses, tolerance: GoldenTolerance): Promise<void> {
  for (const [key, tensor] of [
    ['loss', got.loss],
    ['ce_loss', got.ceLoss],
    ['mask_bce_loss', got.maskBceLoss],
    ['mask_dice_loss', got.maskDiceLoss],
    ['mask_loss', got.maskLoss],
  ] as const)
    near(`${name}: ${key}`, await tensor.item(), wanted[key], tolerance);
}

async function expectOutputs(
  golden: MglmmGolden,
  model: MglmmForCausalLM,
  { states, predMasks, placements, lengths, tokens }: TrainingForward & { lengths: number[]; tokens: number },
) {
  const wanted = golden.expected.get('train.logits') as StoredTensor;
  const vocab = wanted.shape[2] as number;
  const added = imageTokens(model.config) - 1;
  const isReal = (index: number) => {
    const place = Math.floor(index / vocab);
    return place % tokens < (lengths[Math.floor(place / tokens)] as number) + added;
  };
  await expectGolden('train.logits', model.logits(states), wanted, golden.tolerance.default, isReal);
  for (const [image, lowRes] of predMasks.entries()) {
    const placement = placements[image];
    const masks = lowRes && placement && whole(model, lowRes, placement);
    await expectGolden(`train.pred_masks.${image}`, masks, golden.expected.get(`train.pred_masks.${image}`), golden.tolerance.masks);
  }
}

/** `[masks, height, width]` in the size of the image. */
function whole({ sam }: MglmmForCausalLM, lowRes: Tensor, placement: Placement): Tensor {
  const [masks, ...side] = lowRes.shape as [number, number, number];
  return noGradients(() => reshape(sam.resizeMasks(reshape(lowRes, [masks, 1, ...side]), placement), [masks, ...placement.original]));
}

for (const golden of mglmmGoldens()) {
  const facts = golden.facts as unknown as Facts;
  const { tolerance, expected } = golden;

  onEveryDevice(`golden ${golden.name}, training`, () => {
    test('logits, masks, losses and every gradient', async () => {
      using _scope = Scope.open();
      const model = await trainable(golden);
      const result = forward(golden, model);
      await expectOutputs(golden, model, result);
      await expectLosses('main', result.losses, facts.losses.main as Losses, tolerance.loss);
      backward(result.losses.loss);
      const seen: string[] = [];
      let largest = 0;
      for (const [name, { values }] of expected)
        if (name.startsWith('grad.')) for (const value of values) largest = Math.max(largest, Math.abs(value));
      for (const [key, parameter] of model.namedParameters()) {
        const name = storedName(key);
        if (!trained.test(key)) assert.equal(parameter.grad, undefined, `${key} is frozen`);
        else if (facts.zero_gradient_parameters.includes(name)) {
          const values = (await parameter.grad?.read()) ?? [];
          assert.ok(
            Array.from(values).every((value) => value === 0),
            `${key} has a gradient`,
          );
        } else if (facts.vanishing_gradient_parameters.includes(name)) {
          const values = (await parameter.grad?.read()) ?? [];
          const limit = largest * (tolerance.grad.atol_rel_max as number);
          assert.ok(
            Array.from(values).every((value) => Math.abs(value) <= limit),
            `${key} has more than rounding`,
          );
        } else {
          await expectGolden(`grad.${name}`, parameter.grad, expected.get(`grad.${name}`), tolerance.grad);
          seen.push(name);
        }
        parameter.grad?.dispose();
      }
      const wanted = [...expected.keys()].filter(
        (name) =>
          name.startsWith('grad.') && ![...facts.zero_gradient_parameters, ...facts.vanishing_gradient_parameters].includes(name.slice(5)),
      );
      assert.deepEqual(seen.sort(), wanted.map((name) => name.slice(5)).sort());
      model.dispose();
    });

    const variants: Record<string, Variant> = {
      main: {},
      caption_only: { masks: false },
      no_seg_in_first_image: { firstSeg: 5 },
      more_gt_than_seg_in_first_image: { extraMasks: true },
    };
    for (const [name, losses] of Object.entries(facts.losses)) {
      test(`losses: ${name}`, async () => {
        using _scope = Scope.open();
        const model = await trainable(golden);
        assert.ok(variants[name], `what ${name} means is not known`);
        await expectLosses(
          name,
          noGradients(() => forward(golden, model, variants[name]).losses),
          losses,
          tolerance.loss,
        );
        model.dispose();
      });
    }

    test('five steps of AdamW', async () => {
      const model = await trainable(golden);
      const {
        lr,
        betas,
        eps,
        weight_decay: weightDecay,
        max_grad_norm: maxNorm,
      } = golden.config.optimizer as {
        lr: number;
        betas: [number, number];
        eps: number;
        weight_decay: number;
        max_grad_norm: number;
      };
      const names = [...model.namedParameters()].filter(([key]) => trained.test(key));
      using optimizer = new AdamW(names, { betas, eps, weightDecay, maxNorm });
      for (const [step, wanted] of facts.five_steps.losses.entries()) {
        using _scope = Scope.open();
        const { losses } = forward(golden, model);
        await expectLosses(`step ${step}`, losses, wanted, tolerance.five_step_loss);
        if (wanted.grad_norm === undefined) continue;
        backward(losses.loss);
        const norm = optimizer.step({ lr });
        near(`gradient norm of step ${step}`, await norm.item(), wanted.grad_norm, tolerance.five_step_loss);
        optimizer.zeroGrad();
      }
      const parameters = new Map(names.map(([key, parameter]) => [storedName(key), parameter]));
      for (const [name, { index, value }] of Object.entries(facts.five_steps.parameters_after)) {
        const values = (await parameters.get(name)?.read()) ?? [];
        for (const [i, at] of index.entries())
          near(`${name}[${at}]`, values[at] as number, value[i] as number, tolerance.five_step_parameter_value);
      }
      optimizer.zeroGrad();
      model.dispose();
    });

    test('merged LoRA gives the same, and the weights that the golden has', async () => {
      using _scope = Scope.open();
      const model = await trainable(golden);
      model.train(() => false);
      nn.mergeAllLora(model);
      const merged = stateOf(join(golden.folder, 'lora_merged.safetensors'));
      const parameters = model.stateDict();
      for (const [name, wanted] of merged) {
        const values = (await wanted.read()) as Float32Array;
        await expectGolden(name, parameters.get(name), { dtype: 'F32', shape: [...wanted.shape], values }, tolerance.default);
      }
      await expectOutputs(golden, model, forward(golden, model));
      model.dispose();
    });

    test('recomputing layers gives the same losses and gradients', async () => {
      using _scope = Scope.open();
      const model = await trainable(golden);
      backward(forward(golden, model, { recompute: true }).losses.loss);
      const key = 'model.layers.0.self_attn.q_proj.lora_A';
      await expectGolden(key, model.stateDict().get(key)?.grad, expected.get(`grad.${storedName(key)}`), tolerance.grad);
      for (const parameter of model.parameters()) parameter.grad?.dispose();
      model.dispose();
    });
  });
}
