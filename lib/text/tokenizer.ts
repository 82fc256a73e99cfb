/**
 * Text to ids and back, as the slow LlamaTokenizer of transformers 4.28 does it, which the published models were trained with:
 * text is split at tokens, white space beside an added token is dropped, and every stretch between is encoded by itself.
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shown } from '../checks';
import { ArgumentError, LengthError, TokenizerError } from '../errors';
import { detokenize } from './detokenize';
import { SentencePiece } from './sentence_piece';
import { readTokenTables, type TokenTables } from './token_tables';
import { readTokenizerJson } from './tokenizer_json';
import type { Piece, Vocabulary } from './vocabulary';

/** Longest text that is encoded, in UTF-16 units: a second of work at worst by tokenizer.model, ten by tokenizer.json. */
export const maxTextLength = 1 << 20;

export interface EncodeOptions {
  /** Put the id of <s> before; default false. */
  bos?: boolean;
  /** Take `[SEG]`, `</s>` and the like as tokens; default false, when they are text like any other. */
  special?: boolean;
}

/** A piece of a prompt: text, in which tokens, or those named, are taken as such when `special`; or ids as they are. */
export type TextPart = { readonly text: string; readonly special?: boolean | ReadonlySet<string> } | { readonly ids: readonly number[] };

export interface Tokenizer {
  /** Ids are below this. */
  readonly size: number;
  readonly bos: number;
  readonly eos: number;
  readonly unk: number;
  readonly pad: number;
  /** The tokens added to the vocabulary, such as [SEG], and their ids. */
  readonly added: ReadonlyMap<string, number>;
  /** The id of a token or piece by its exact name; `undefined` when there is none. */
  idOf(token: string): number | undefined;
  /** What an id stands for. @throws ArgumentError when nothing has this id. */
  pieceOf(id: number): Piece;
  /** Like `pieceOf`, and `undefined` when nothing has this id. */
  findPiece(id: number): Piece | undefined;
  /**
   * The ids of `text`. With `special` false no text gives the id of a token.
   * @throws LengthError when the text is longer than `maxTextLength`.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** The ids of parts that follow each other; texts are encoded together, as one text, but tokens are found only in those that are `special`. */
  encodeParts(parts: readonly TextPart[], options?: { bos?: boolean }): number[];
  /** The text of `ids`, with tokens. @throws ArgumentError when nothing has one of these ids. */
  decode(ids: Iterable<number>): string;
}

/**
 * The tokenizer of a checkpoint: `tokenizer.model`, or else `tokenizer.json`, with what added_tokens.json, tokenizer_config.json
 * and special_tokens_map.json beside it add.
 * @throws TokenizerError when there is none, when a file is damaged or of a kind that is not read, or when files contradict.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  if (typeof folder !== 'string') throw new ArgumentError(`loadTokenizer: folder is ${shown(folder)}, expected a string`);
  const model = join(folder, 'tokenizer.model');
  const json = join(folder, 'tokenizer.json');
  const tables = await readTokenTables(folder);
  if (await exists(model)) return inFile(model, async () => createTokenizer(new SentencePiece(await readFile(model)), tables));
  if (await exists(json)) return inFile(json, async () => createTokenizer(await readTokenizerJson(await readFile(json, 'utf8')), tables));
  throw new TokenizerError(`${folder} has neither tokenizer.model nor tokenizer.json; copy one from the model it was made from`);
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function inFile<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new TokenizerError(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** The tokenizer of a vocabulary and of what is added to it. @throws TokenizerError when the two contradict. */
export function createTokenizer(vocabulary: Vocabulary, tables: TokenTables = { added: new Map() }): Tokenizer {
  return new VocabularyTokenizer(vocabulary, tables);
}

class VocabularyTokenizer implements Tokenizer {
  readonly size: number;
  readonly bos: number;
  readonly eos: number;
  readonly unk: number;
  readonly pad: number;
  readonly added: ReadonlyMap<string, number>;
  private readonly names = new Map<number, string>();
  private readonly tokens: RegExp;

  constructor(
    private readonly vocabulary: Vocabulary,
    tables: TokenTables,
  ) {
    const added = new Map<string, number>();
    for (const [token, id] of [...vocabulary.added, ...tables.added]) {
      if (vocabulary.controls.get(token) === id || added.get(token) === id) continue;
      const other = this.names.get(id) ?? vocabulary.pieceOf(id)?.text;
      if (other !== undefined && other !== token)
        throw new TokenizerError(`the added token ${token} has id ${id}, which is ${JSON.stringify(other)} already`);
      if (added.has(token)) throw new TokenizerError(`the added token ${token} has two ids, ${added.get(token)} and ${id}`);
      added.set(token, id);
      this.names.set(id, token);
    }
    this.added = added;
    this.size = Math.max(vocabulary.size, ...[...added.values()].map((id) => id + 1));
    this.bos = this.named('bos', tables.bos ?? vocabulary.bos);
    this.eos = this.named('eos', tables.eos ?? vocabulary.eos);
    this.unk = this.named('unk', tables.unk ?? vocabulary.unk);
    this.pad = tables.pad === undefined ? this.unk : this.named('pad', tables.pad);
    // The leftmost, and of those that begin there the longest.
    const all = [...vocabulary.controls.keys(), ...added.keys()].sort((a, b) => b.length - a.length);
    this.tokens = new RegExp(all.map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|') || '(?!)', 'gu');
  }

  idOf(token: string): number | undefined {
    return this.added.get(token) ?? this.vocabulary.idOf(token);
  }

  pieceOf(id: number): Piece {
    const piece = this.findPiece(id);
    if (piece === undefined)
      throw new ArgumentError(`pieceOf: id is ${String(id)}, expected one of the tokenizer's, from 0 to ${this.size - 1}`);
    return piece;
  }

  findPiece(id: number): Piece | undefined {
    const name = this.names.get(id);
    return name === undefined ? this.vocabulary.pieceOf(id) : { kind: 'added', text: name };
  }

  encode(text: string, { bos = false, special = false }: EncodeOptions = {}): number[] {
    return this.encodeParts([{ text, special }], { bos });
  }

  encodeParts(parts: readonly TextPart[], { bos = false }: { bos?: boolean } = {}): number[] {
    const ids: number[] = bos ? [this.bos] : [];
    let stretch = '';
    let afterAdded = false;
    const flush = (beforeAdded: boolean) => {
      if (afterAdded) stretch = stretch.replace(leadingSpace, '');
      if (beforeAdded) stretch = stretch.slice(0, endOfText(stretch));
      for (const id of this.vocabulary.encode(stretch)) ids.push(id);
      stretch = '';
    };
    this.checkLength(parts);
    for (const part of parts) {
      if ('ids' in part) {
        flush(false);
        for (const id of part.ids) ids.push(id);
        afterAdded = false;
        continue;
      }
      let from = 0;
      const { special } = part;
      for (const { 0: token, index } of special ? part.text.matchAll(this.tokens) : []) {
        if (special !== true && !(special as ReadonlySet<string>).has(token)) continue;
        stretch += part.text.slice(from, index);
        from = index + token.length;
        const added = this.added.get(token);
        flush(added !== undefined);
        ids.push(added ?? (this.vocabulary.controls.get(token) as number));
        afterAdded = added !== undefined;
      }
      stretch += part.text.slice(from);
    }
    flush(false);
    return ids;
  }

  decode(ids: Iterable<number>): string {
    if (typeof ids?.[Symbol.iterator] !== 'function') throw new ArgumentError(`decode: ids is ${typeof ids}, expected ids`);
    return detokenize(Array.from(ids, (id) => this.pieceOf(id)));
  }

  private checkLength(parts: readonly TextPart[]): void {
    let length = 0;
    for (const part of parts) {
      if ('ids' in part) continue;
      if (typeof part.text !== 'string') throw new ArgumentError(`encode: text is ${typeof part.text}, expected a string`);
      length += part.text.length;
    }
    if (length > maxTextLength) throw new LengthError(`encode: text has ${length} characters, expected at most ${maxTextLength}`);
  }

  private named(role: string, token: string): number {
    const id = this.added.get(token) ?? this.vocabulary.controls.get(token);
    if (id === undefined) throw new TokenizerError(`its ${role} token is ${JSON.stringify(token)}, which is no token of the vocabulary`);
    return id;
  }
}

/** White space as Python's str.strip has it, which is neither trim's nor \s. */
const space = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const leadingSpace = new RegExp(`^[${space}]+`);
const isSpace = new RegExp(`[${space}]`);

/** Where the white space at the end begins; walked backwards, for a pattern anchored at the end is quadratic. */
function endOfText(text: string): number {
  let end = text.length;
  while (end > 0 && isSpace.test(text[end - 1] as string)) end--;
  return end;
}
