/** What keeps a folder of weights from being a model that answers, for people to read. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TokenizerError } from '../errors';
import type { ModelParts } from '../models/model_parts';
import { loadTokenizer } from '../text/tokenizer';
import { segToken } from '../text/tokens';
import { type ModelFolder, tokenizerFilesIn } from '../weights/model_folder';

export interface Tokens {
  readonly size?: number;
  readonly added: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** Paths of its files. */
  readonly files: readonly string[];
}

/**
 * What the tokenizer knows, and whether it is that of these weights.
 * @param elsewhere - its folder, where that is not the model's.
 */
export async function tokensOf(folder: ModelFolder, { configs: { llama } }: ModelParts, elsewhere?: string): Promise<Tokens> {
  const path = elsewhere ?? folder.folder;
  const files = tokenizerFilesIn(await readdir(path).catch(() => [])).map((name) => join(path, name));
  if (!llama) return { files, added: {}, problems: [] };
  try {
    const tokenizer = await loadTokenizer(path);
    const added = Object.fromEntries(tokenizer.added);
    const problems: string[] = [];
    if (tokenizer.size > llama.vocabSize) problems.push(`tokenizer: it has ${tokenizer.size} tokens, the model only ${llama.vocabSize}`);
    const grounded = ['mglmm', 'glamm', 'lisa'].includes(folder.family);
    if (grounded && tokenizer.idOf(segToken) === undefined)
      problems.push(`tokenizer: it has no ${segToken}, which a ${folder.family} answers with`);
    return { files, size: tokenizer.size, added, problems };
  } catch (error) {
    if (error instanceof TokenizerError) return { files, added: {}, problems: [`tokenizer: ${error.message}`] };
    throw error;
  }
}

/** What keeps the model from running, in sentences. */
export function problemsOf(folder: ModelFolder, { missing, difference, guesses }: ModelParts): string[] {
  return [
    ...missing.map((part) => {
      if (part !== 'clip') return `${part}: nothing of it is here`;
      return `clip: ${folder.clipNotFound ?? 'the tower'} is not here; say where with --clip DIR`;
    }),
    ...difference.missing.map((key) => `${key} is missing`),
    ...difference.misshapen,
    ...guesses,
    ...(folder.sources[0]?.layout.lora ? ['LoRA matrices are not merged: mglmm merge does it'] : []),
  ];
}
