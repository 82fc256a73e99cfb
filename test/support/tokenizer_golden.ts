import { copyFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTokenizer, type Tokenizer } from '../../lib/text/tokenizer';
import { goldenFolder, listFolders } from './golden';

export interface TokenizerGolden {
  folder: string;
  config: {
    vocab_size: number;
    added_tokens: Record<string, number>;
    bos: number;
    eos: number;
    unk: number;
    pad: number;
    tokenizer_model: string;
  };
  read<T>(file: string): T;
}

const goldenIn = (folder: string): TokenizerGolden => {
  const read = <T>(file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as T;
  return { folder, read, config: read<TokenizerGolden['config']>('config.json') };
};

/** Every golden folder about a tokenizer: those whose config.json names a tokenizer_model. */
export const tokenizerGoldens: TokenizerGolden[] = listFolders(goldenFolder)
  .map((name) => join(goldenFolder, name))
  .filter((folder) => existsSync(join(folder, 'config.json')))
  .map(goldenIn)
  .filter(({ config }) => typeof config.tokenizer_model === 'string');

/** LLaMA's, which is always here, whichever goldens are run. */
export const llama: TokenizerGolden = goldenIn(join(__dirname, '../golden/tokenizer'));

/** A folder as a checkpoint has it, with the golden's vocabulary and its added tokens. */
export function tokenizerFolder({ folder, config }: TokenizerGolden): string {
  const path = mkdtempSync(join(tmpdir(), 'mglmm-tokenizer-'));
  copyFileSync(join(folder, config.tokenizer_model), join(path, 'tokenizer.model'));
  writeFileSync(join(path, 'added_tokens.json'), JSON.stringify(config.added_tokens));
  return path;
}

/** The tokenizer of MGLMM: LLaMA's 32000 pieces and seven tokens. */
export const mglmmTokenizer = (): Promise<Tokenizer> => loadTokenizer(tokenizerFolder(llama));
