/**
 * One picture at three granularities: the whole scene, one of its objects, the parts of that object. Prints the text while it comes,
 * each phrase in the colour of its mask, and draws all of it on one sheet.
 *
 *   npm run demo [-- PICTURE] [--model DIR] [--out demo-output]
 *
 * Without --model the small model answers that comes with the package, and knows made-up pictures such as those of `mglmm scenes`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decodeImage, defaultModel, drawOverlay, Mglmm, type RgbImage } from '../lib';
import { AnswerPrinter, printFigures } from '../lib/cli/answer_printer';
import { stylesOf } from '../lib/cli/styles';
import { drawSheet, type Panel } from './sheet';

const withMasks = 'Please respond with interleaved segmentation masks for the corresponding parts of the answer.';
const terminal = { out: process.stdout, err: process.stdout };
const { bold, dim } = stylesOf(process.stdout);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { model: { type: 'string', default: defaultModel }, out: { type: 'string', default: 'demo-output' } },
  });
  const [path = join(__dirname, 'pictures/scene.png')] = positionals;
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  mkdirSync(values.out, { recursive: true });

  const began = performance.now();
  const image = await decodeImage(path);
  await using model = await Mglmm.load(values.model, { signal: controller.signal });
  console.log(dim(`${path}, ${image.width} x ${image.height}; ${values.model} loaded in ${(performance.now() - began).toFixed(0)} ms`));

  const panels: Panel[] = [];
  const ask = async (title: string, prompt: string) => {
    const { segments, panel } = await answer(model, image, prompt, controller.signal);
    const file = join(values.out, `${panels.length + 1}_${title.replaceAll(' ', '_')}.png`);
    writeFileSync(file, panel.picture);
    console.log(dim(`drawn to ${file}`));
    panels.push({ ...panel, title });
    return segments;
  };
  const things = await ask('whole scene', `Please describe all objects in this image. ${withMasks}`);
  // Things are `a car`, what is around them `the sky`. The largest is the one whose parts are seen best.
  const largest = [...things].sort((a, b) => b.mask.area - a.mask.area).find(({ phrase }) => /^an? /.test(phrase));
  const name = largest?.phrase.replace(/^(a|an) /, 'the ') ?? 'the largest object';
  await ask('one object', `Please segment ${name}.`);
  await ask('its parts', `Please describe ${name} and its parts. ${withMasks}`);

  const sheet = join(values.out, 'sheet.png');
  writeFileSync(sheet, await drawSheet(image, panels));
  console.log(`\n${bold('All of it on one sheet:')} ${sheet}`);
  console.log(`
What to try next
  npx tsx lib/cli/main.ts scenes --out scenes --count 12 --split test --seed 7   pictures that this model has never seen
  npm run demo -- scenes/images/test-7-0.png                                     one of them
  npx tsx lib/cli/main.ts chat ${path}
  npx tsx lib/cli/main.ts eval scenes --limit 200                                how good it is`);
}

/** Streams an answer to the terminal. */
async function answer(model: Mglmm, image: RgbImage, prompt: string, signal: AbortSignal) {
  console.log(`\n${bold(prompt)}`);
  const printer = new AnswerPrinter(process.stdout);
  const stream = model.stream({ image, prompt, constrained: true, maxNewTokens: 200, signal });
  for await (const event of stream) printer.show(event);
  printer.end();
  const { segments, text, ...figures } = await stream.final();
  const colorOf = printer.colorOf.bind(printer);
  printFigures(terminal, { segments, text, ...figures }, colorOf, '');
  const masks = segments.map((segment, index) => ({ rle: segment.mask.rle, label: segment.phrase, color: colorOf(segment, index) }));
  return { segments, panel: { prompt, text, picture: await drawOverlay(image, masks) } };
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
