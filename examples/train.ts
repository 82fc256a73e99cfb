/**
 * Trains a small MGLMM, from nothing and on the CPU, until it knows four pictures by heart: each is described word for word, with a
 * mask for each thing that is named. All that a real run has is here: files of samples, a configuration, snapshots, logs, and a
 * model at the end that is opened like any other.
 *
 *   npm run demo:train [-- --steps 200] [-- --out demo-output/train]
 *
 * Exits with 1 unless every answer is exact and the masks agree with the truth by more than 0.95 IoU.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Mglmm, parseConfig, parseSegCap, type Rle, rleFromRuns, rleIou, type Sample, train, writeJsonl, writeTokenizer } from '../lib';
import { type Colour, Picture } from './picture';
import { reporter } from './progress';

const side = 64; // pixels
const colours: Record<string, Colour> = { red: [214, 60, 54], blue: [56, 98, 206], green: [52, 160, 84], yellow: [236, 196, 62] };

interface Thing {
  readonly colour: string;
  readonly shape: 'circle' | 'square';
  /** Of the middle, and half the width, in pixels. */
  readonly at: readonly [x: number, y: number];
  readonly reach: number;
}

const scenes: readonly { question: string; things: readonly Thing[] }[] = [
  { question: 'What is in this picture?', things: [{ colour: 'red', shape: 'circle', at: [20, 24], reach: 13 }] },
  {
    question: 'Name the things here.',
    things: [
      { colour: 'blue', shape: 'square', at: [18, 42], reach: 11 },
      { colour: 'yellow', shape: 'circle', at: [46, 20], reach: 12 },
    ],
  },
  {
    question: 'Describe the picture.',
    things: [
      { colour: 'green', shape: 'square', at: [44, 44], reach: 14 },
      { colour: 'red', shape: 'square', at: [16, 16], reach: 10 },
    ],
  },
  { question: 'Is there anything to see?', things: [] },
];

const nameOf = ({ colour, shape }: Thing) => `a ${colour} ${shape}`;
const answerOf = (things: readonly Thing[]) =>
  things.length === 0 ? 'There is nothing here.' : `There is ${things.map((thing) => `<p> ${nameOf(thing)} </p> [SEG]`).join(' and ')}.`;

function covers({ shape, at: [left, top], reach }: Thing, x: number, y: number): boolean {
  const [dx, dy] = [x + 0.5 - left, y + 0.5 - top];
  return shape === 'circle' ? dx * dx + dy * dy < reach * reach : Math.max(Math.abs(dx), Math.abs(dy)) < reach;
}

/** Run lengths go down the columns. */
function maskOf(thing: Thing): Rle {
  const runs = [0];
  let isSet = false;
  for (let i = 0; i < side * side; i++) {
    if (covers(thing, Math.floor(i / side), i % side) !== isSet) {
      runs.push(0);
      isSet = !isSet;
    }
    runs[runs.length - 1] = (runs.at(-1) as number) + 1;
  }
  return rleFromRuns(runs, [side, side]);
}

function writePicture(path: string, things: readonly Thing[], shade: number): void {
  const picture = new Picture(side, side, [shade, shade, shade]);
  for (const thing of things)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) if (covers(thing, x, y)) picture.blend(x, y, colours[thing.colour] as Colour);
  writeFileSync(path, picture.png());
}

/** Sizes of a model that two cores train in a minute, as config.json says them. */
const sizesOf = (tokens: number) => ({
  text_config: {
    vocab_size: tokens,
    hidden_size: 96,
    intermediate_size: 192,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    max_position_embeddings: 256,
  },
  vision_config: { image_size: 56, patch_size: 14, hidden_size: 48, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
  segment_encoder_config: {
    image_size: side,
    patch_size: 4, // masks come at four times the grid: the size of the picture
    encoder_embed_dim: 48,
    encoder_depth: 2,
    encoder_num_heads: 4,
    encoder_global_attn_indexes: [1],
    window_size: 8,
    mlp_ratio: 2,
    prompt_embed_dim: 64,
    decoder_num_heads: 4,
    decoder_mlp_dim: 128,
    iou_head_hidden_dim: 64,
  },
});

const defaultOut = 'demo-output/train';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { steps: { type: 'string', default: '200' }, out: { type: 'string' } },
  });
  const steps = Number(values.steps);
  if (!Number.isInteger(steps) || steps < 1) throw new Error(`--steps is ${values.steps}, expected a whole number above 0`);
  const folder = values.out ?? defaultOut;
  if (values.out === undefined) rmSync(join(folder, 'run'), { recursive: true, force: true });
  else if (existsSync(join(folder, 'run'))) throw new Error(`${join(folder, 'run')} is there already, expected another --out`);
  mkdirSync(folder, { recursive: true });

  const samples = scenes.map(({ question, things }, i): Sample => {
    const image = join(folder, `picture-${i}.png`);
    writePicture(image, things, 200 + 12 * i);
    return {
      id: `picture ${i}`,
      image,
      conversation: [{ question, answer: answerOf(things) }],
      masks: things.map(maskOf),
      task: 'caption',
    };
  });
  await writeJsonl(join(folder, 'samples.jsonl'), samples);
  const system =
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions. USER: ASSISTANT: The provides an overview of the picture.\n";
  const spoken = samples.flatMap(({ conversation }) => conversation.flatMap(({ question, answer }) => [question, answer]));
  // Everything twice, as a word that comes once is left in letters.
  const tokens = await writeTokenizer(folder, [system, ...spoken, system, ...spoken], 512);

  const config = parseConfig(
    {
      model: { sizes: sizesOf(tokens), tokenizer: '.', dtype: 'f32' },
      data: [{ path: 'samples.jsonl' }],
      output: 'run',
      steps,
      batchSize: 4,
      accumulation: 1,
      trainable: 'full',
      lora: null,
      recompute: false,
      optimizer: { lr: 2e-3, schedule: 'cosine', warmupSteps: 20, minLr: 1e-4 },
      snapshots: { every: 100 },
    },
    folder,
  );
  const started = performance.now();
  const report = reporter(steps);
  const { model: path = '', chart } = await train(config, {
    onEvent: (event) => {
      if (event.type !== 'step') return;
      const { step, loss } = event.report;
      report({ step: step + 1, loss, iou: undefined, seconds: (performance.now() - started) / 1000 });
    },
  });
  console.log(`trained in ${((performance.now() - started) / 1000).toFixed(0)} s; see ${chart}`);

  await using model = await Mglmm.load(path);
  let isKnown = true;
  for (const { image, conversation, masks } of samples) {
    if (typeof image !== 'string') continue;
    const [{ question, answer: wanted } = { question: '', answer: '' }] = conversation;
    const answer = await model.answer({ image, prompt: question, maxNewTokens: 40 });
    const ious = masks.map((mask, i) => {
      const found = answer.segments[i]?.mask.rle;
      return found ? (rleIou([found], [mask])[0]?.[0] ?? 0) : 0;
    });
    const isExact = answer.text === parseSegCap(wanted).text && answer.segments.length === masks.length;
    isKnown &&= isExact && ious.every((iou) => iou > 0.95);
    console.log(
      `${question}  ${answer.text}${ious.map((iou) => `  IoU ${iou.toFixed(3)}`).join('')}${isExact ? '' : '  (not what it was taught)'}`,
    );
  }
  return isKnown ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
