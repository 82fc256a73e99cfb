/** The golden tiny model as a folder that can be opened and spoken to: its weights, the CLIP tower, and a tokenizer made for it. */
import { copyFileSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MglmmGolden } from './mglmm_golden';
import { sentencePieceModel, smallModel } from './sentence_piece';
import { temporaryFolder } from './weights';

/** Two characters and a space before a word, then letters: what English needs when there is room for few. */
const letters = [...'▁etaoinshrdlucmfwypgbvkxqjz'];
const others = [...'.,?!:;-\'"()ASUERTNIGHDLOWC0123456789'];

/** A tokenizer.model with `size` pieces; text beyond its characters is <unk>. */
export function tinyTokenizer(size: number): Buffer {
  const pieces = [...new Set([...letters, ...others])].slice(0, size - 3);
  const filler = Array.from({ length: size - 3 - pieces.length }, (_, i) => `▁${'xyz'[i % 3]}${i}`);
  return sentencePieceModel({ pieces: smallModel([...pieces, ...filler]) });
}

/**
 * @param form - of the checkpoint, such as `checkpoints/glamm`; default the official one.
 * @param added - tokens and ids, where the form has no added_tokens.json of its own.
 */
export function tinyModel({ folder, config }: MglmmGolden, form = config.checkpoint as string): ReturnType<typeof temporaryFolder> {
  const made = temporaryFolder();
  const source = join(folder, form);
  for (const file of readdirSync(source)) symlinkSync(join(source, file), made.file(file));
  const added = made.file('added_tokens.json');
  if (!existsSync(added)) copyFileSync(join(folder, config.checkpoint as string, basename(added)), added);
  const ids = Object.values(JSON.parse(readFileSync(added, 'utf8')) as Record<string, number>);
  writeFileSync(made.file('tokenizer.model'), tinyTokenizer(Math.min(...ids)));
  const tower = config.vision_tower as string;
  symlinkSync(join(folder, tower), made.file(basename(tower)));
  return made;
}
