/**
 * Asks a model about a picture: prints the text while it comes, writes each mask as soon as it is there, and at the end the picture with
 * all of them.
 *
 *   npx tsx examples/answer.ts MODEL PICTURE "PROMPT" [OUT]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeImage, drawOverlay, Mglmm } from '../lib';

async function main(): Promise<void> {
  const [folder, path, prompt, out = '.'] = process.argv.slice(2);
  if (!folder || !path || !prompt) throw new Error('expected a model, a picture and a prompt');
  mkdirSync(out, { recursive: true });

  await using model = await Mglmm.load(folder);
  const image = await decodeImage(path);
  for await (const event of model.stream({ image, prompt, constrained: true })) {
    if (event.type === 'token') process.stdout.write(event.text);
    if (event.type === 'mask') writeFileSync(join(out, `mask_${event.index}.png`), await event.segment.mask.png());
    if (event.type === 'done') {
      const { segments, usage, timings } = event.answer;
      console.log(`\n${usage.newTokens} tokens and ${usage.masks} masks in ${timings.totalMs.toFixed(0)} ms`);
      for (const { phrase, box, score } of segments) console.log(`  ${phrase || '(no phrase)'}  ${score.toFixed(2)}  at ${box.join(', ')}`);
      const masks = segments.map(({ mask, phrase }) => ({ rle: mask.rle, label: phrase }));
      writeFileSync(join(out, 'overlay.png'), await drawOverlay(image, masks));
    }
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
