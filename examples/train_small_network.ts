/**
 * Trains a small network, on the CPU and from nothing, to find what a word asks for: a picture with circles, squares and
 * triangles and one of these words go in, the mask of that kind comes out. It is MGLMM in small: an encoder of the picture,
 * a vector for the word, a mask where the two agree, and the same losses and optimiser.
 *
 *   npm run demo [-- --steps 400] [-- --out demo-output]
 *
 * Writes training.png: the loss, the agreement with the truth on pictures never trained on, and some of these with their
 * masks. Exits with 1 when the loss did not fall.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  AdamW,
  add,
  backward,
  conv2d,
  convTranspose2d,
  gelu,
  layerNorm2d,
  linear,
  maskLoss,
  matmul,
  noGradients,
  reshape,
  scale,
  synchronize,
  type Tensor,
  tensor,
  tidy,
  warmupCosine,
} from '../lib';
import { type Progress, reporter } from './progress';
import { drawShapes, kinds, randomFrom, type ShapeBatch, side } from './shapes';
import { drawTraining, type Evaluation } from './training_picture';

const batch = 16;
const lr = 3e-3;
const evaluations = 20; // over the run, on pictures that are never trained on
const [narrow, middle, wide] = [16, 32, 48]; // channels at full, half and quarter size

/** Weights by name, drawn so that each layer keeps the size of its input: He et al. 2015, arXiv 1502.01852. */
function makeParameters(): Map<string, Tensor> {
  const random = randomFrom(7);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const parameters = new Map<string, Tensor>();
  const keep = (name: string, shape: number[], value: () => number) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const parameter = tensor(Float32Array.from({ length: count }, value), shape);
    parameter.requiresGrad = true;
    parameters.set(name, parameter);
  };
  const layer = (name: string, shape: number[], inputs: number, outputs: number) => {
    keep(`${name}.weight`, shape, () => normal() * Math.sqrt(2 / inputs));
    keep(`${name}.bias`, [outputs], () => 0);
  };
  const norm = (name: string, channels: number) => {
    keep(`${name}.weight`, [channels], () => 1);
    keep(`${name}.bias`, [channels], () => 0);
  };
  const convolution = (name: string, from: number, to: number) => {
    layer(name, [to, from, 3, 3], 9 * from, to);
    norm(`${name}.norm`, to);
  };
  convolution('full', 3, narrow);
  convolution('half', narrow, middle);
  convolution('quarter', middle, wide);
  for (const name of ['context1', 'context2', 'context3']) convolution(name, wide, wide);
  layer('toHalf', [wide, middle, 2, 2], wide, middle);
  layer('toFull', [middle, narrow, 2, 2], middle, narrow);
  convolution('joinHalf', middle, middle);
  convolution('joinFull', narrow, narrow);
  layer('word', [wide, kinds.length], 2, wide);
  layer('query1', [wide, wide], wide, wide);
  layer('query2', [narrow, wide], wide, narrow);
  return parameters;
}

/** Mask logits `[batch, side, side]` of `images` `[batch, 3, side, side]` for `words`, one of each row of `[batch, kinds]` 1. */
function network(parameters: ReadonlyMap<string, Tensor>, images: Tensor, words: Tensor): Tensor {
  const of = (name: string) => parameters.get(name) as Tensor;
  const convolution = (name: string, x: Tensor, stride = 1) => {
    const y = conv2d(x, of(`${name}.weight`), { bias: of(`${name}.bias`), stride, padding: 1 });
    return gelu(layerNorm2d(y, of(`${name}.norm.weight`), of(`${name}.norm.bias`)));
  };
  const dense = (name: string, x: Tensor) => linear(x, of(`${name}.weight`), of(`${name}.bias`));
  const larger = (name: string, x: Tensor) => convTranspose2d(x, of(`${name}.weight`), of(`${name}.bias`));

  const word = dense('word', words);
  const query = dense('query2', gelu(dense('query1', word)));
  const full = convolution('full', images);
  const half = convolution('half', full, 2);
  let quarter = add(convolution('quarter', half, 2), reshape(word, [words.shape[0] as number, wide, 1, 1]));
  for (const name of ['context1', 'context2', 'context3']) quarter = add(quarter, convolution(name, quarter));
  const atHalf = convolution('joinHalf', add(larger('toHalf', quarter), half));
  const atFull = convolution('joinFull', add(larger('toFull', atHalf), full));

  // The mask is where a pixel's vector points the word's way.
  const count = images.shape[0] as number;
  const masks = matmul(reshape(query, [count, 1, narrow]), reshape(atFull, [count, narrow, side * side]));
  return reshape(scale(masks, 1 / Math.sqrt(narrow), -1), [count, side, side]);
}

function forward(parameters: ReadonlyMap<string, Tensor>, { images, words, masks }: ShapeBatch): { logits: Tensor; target: Tensor } {
  const count = words.length;
  const oneHot = Float32Array.from({ length: count * kinds.length }, (_, i) =>
    Number(words[Math.floor(i / kinds.length)] === i % kinds.length),
  );
  const logits = network(parameters, tensor(images, [count, 3, side, side]), tensor(oneHot, [count, kinds.length]));
  return { logits, target: tensor(masks, [count, side, side]) };
}

/** Loss of one step, as MGLMM weighs it: 2 of binary cross entropy and 0.5 of Dice. */
async function train(parameters: ReadonlyMap<string, Tensor>, optimizer: AdamW, samples: ShapeBatch, rate: number): Promise<number> {
  return tidy(async () => {
    const { logits, target } = forward(parameters, samples);
    const { bce, dice } = maskLoss(logits, target);
    const loss = add(scale(bce, 2), scale(dice, 0.5));
    backward(loss);
    optimizer.step({ lr: rate });
    optimizer.zeroGrad();
    return loss.item();
  });
}

/** Masks of `samples` and their agreement with the truth: intersection over union, averaged over the pictures. */
async function evaluate(parameters: ReadonlyMap<string, Tensor>, samples: ShapeBatch): Promise<{ logits: Float32Array; iou: number }> {
  const logits = (await tidy(() => noGradients(() => forward(parameters, samples).logits.read()))) as Float32Array;
  const area = side * side;
  let total = 0;
  for (let item = 0; item < samples.words.length; item++) {
    let [both, either] = [0, 0];
    for (let i = item * area; i < (item + 1) * area; i++) {
      const [found, wanted] = [(logits[i] as number) > 0, samples.masks[i] === 1];
      both += Number(found && wanted);
      either += Number(found || wanted);
    }
    total += either === 0 ? 1 : both / either;
  }
  return { logits, iou: total / samples.words.length };
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { steps: { type: 'string', default: '400' }, out: { type: 'string', default: 'demo-output' } } });
  const steps = Number(values.steps);
  if (!Number.isInteger(steps) || steps < 10) throw new Error(`--steps is ${values.steps}, expected an integer of at least 10`);

  const parameters = makeParameters();
  using optimizer = new AdamW(parameters);
  const schedule = warmupCosine({ lr, warmupSteps: Math.min(40, Math.floor(steps / 4)), totalSteps: steps, minLr: lr / 50 });
  const held = drawShapes(64, randomFrom(1000));
  const random = randomFrom(1);
  const count = [...parameters.values()].reduce((sum, { count }) => sum + count, 0);
  console.log(`A network of ${count.toLocaleString('en')} weights learns to find what a word asks for: ${kinds.join(', ')}.`);

  const losses: number[] = [];
  const agreement: Evaluation[] = [];
  const report: (progress: Progress) => void = reporter(steps);
  const started = performance.now();
  for (let step = 0; step < steps; step++) {
    losses.push(await train(parameters, optimizer, drawShapes(batch, random), schedule(step + 1)));
    if ((step + 1) % Math.ceil(steps / evaluations) === 0 || step + 1 === steps) {
      agreement.push({ step: step + 1, iou: (await evaluate(parameters, held)).iou });
    }
    report({ step: step + 1, loss: meanOf(losses.slice(-10)), iou: agreement.at(-1)?.iou, seconds: (performance.now() - started) / 1000 });
  }

  const { logits } = await evaluate(parameters, held);
  mkdirSync(values.out, { recursive: true });
  const path = join(values.out, 'training.png');
  writeFileSync(path, drawTraining({ losses, agreement, samples: held, logits }).png());
  await synchronize();

  const part = Math.max(1, Math.floor(steps / 10));
  const [first, last] = [meanOf(losses.slice(0, part)), meanOf(losses.slice(-part))];
  console.log(
    `loss ${first.toFixed(3)} -> ${last.toFixed(3)}, agreement ${(100 * (agreement.at(-1)?.iou ?? 0)).toFixed(0)} %; see ${path}`,
  );
  if (last < 0.9 * first) return 0;
  console.error('the loss did not fall by a tenth: something is broken');
  return 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
