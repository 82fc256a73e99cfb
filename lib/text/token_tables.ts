/** What the small JSON files beside a vocabulary say: added_tokens.json, tokenizer_config.json, special_tokens_map.json. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TokenizerError } from '../errors';

/** Added tokens with their ids, and the names of the tokens that have a role, where the files give one. */
export interface TokenTables {
  readonly added: ReadonlyMap<string, number>;
  readonly bos?: string;
  readonly eos?: string;
  readonly unk?: string;
  readonly pad?: string;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 1 << 24;

/** Of the files that are in `folder`. @throws TokenizerError when one is damaged or two contradict. */
export async function readTokenTables(folder: string): Promise<TokenTables> {
  const [added, config, map] = await Promise.all(
    ['added_tokens.json', 'tokenizer_config.json', 'special_tokens_map.json'].map((name) => readJson(join(folder, name))),
  );
  const tokens = new Map<string, number>();
  const add = (file: string, token: string, id: unknown) => {
    if (!isId(id)) throw new TokenizerError(`${join(folder, file)}: the id of ${token} is ${JSON.stringify(id)}, expected a whole number`);
    const other = tokens.get(token);
    if (token === '') throw new TokenizerError(`${join(folder, file)}: the token of id ${id} is empty`);
    if (other !== undefined && other !== id)
      throw new TokenizerError(`${join(folder, file)}: ${token} has id ${id}, and ${other} in added_tokens.json`);
    tokens.set(token, id);
  };
  for (const [token, id] of Object.entries(added ?? {})) add('added_tokens.json', token, id);
  const decoder = config?.added_tokens_decoder;
  for (const [id, entry] of isObject(decoder) ? Object.entries(decoder) : [])
    add('tokenizer_config.json', nameOf(entry) ?? '', /^\d+$/.test(id) ? Number(id) : id);
  const role = (name: string) => nameOf(map?.[name]) ?? nameOf(config?.[name]);
  return { added: tokens, bos: role('bos_token'), eos: role('eos_token'), unk: role('unk_token'), pad: role('pad_token') };
}

/** A token is written as its text or as an object with it. */
function nameOf(value: unknown): string | undefined {
  const name = isObject(value) ? value.content : value;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

async function readJson(path: string): Promise<Json | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new TokenizerError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const contents: unknown = JSON.parse(text);
    if (isObject(contents)) return contents;
  } catch (error) {
    throw new TokenizerError(`${path} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new TokenizerError(`${path} is expected to be an object`);
}
