/** A vocabulary of the byte-pair kind with sentencepiece's spaces, from tokenizer.json, read by @huggingface/tokenizers. */
import { TokenizerError } from '../errors';
import { byteOf, type Piece, type Vocabulary } from './vocabulary';
import { marked, spaceMark, spansWords, wordsOf } from './words';

/** Of @huggingface/tokenizers, what is used of it. */
interface JsonTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
}

interface Contents {
  [field: string]: unknown;
  model: { vocab: Record<string, number>; merges: unknown[]; unk_token?: string | null; byte_fallback?: boolean; fuse_unk?: boolean };
  added_tokens: AddedToken[];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 1 << 24;

/** @throws TokenizerError when `text` is no tokenizer.json of this kind. */
export async function readTokenizerJson(text: string): Promise<Vocabulary> {
  const contents = checked(parse(text));
  const { Tokenizer } = await import('@huggingface/tokenizers');
  try {
    // Tokens are found and spaces marked by our own rules: those of the file's own are of later versions in part, which put no space
    // before a text that begins with one.
    const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
    return new JsonVocabulary(contents, new Tokenizer({ ...contents, ...none }, {}));
  } catch (error) {
    if (error instanceof TokenizerError) throw error;
    throw new TokenizerError(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TokenizerError(`it is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

function checked(contents: unknown): Contents {
  if (!isObject(contents) || !isObject(contents.model)) throw new TokenizerError('it has no model; a tokenizer.json is expected');
  const { type = 'BPE', vocab, merges } = contents.model;
  if (type !== 'BPE' || !isObject(vocab) || !Array.isArray(merges))
    throw new TokenizerError(`its model is ${String(type)}, expected BPE with vocab and merges, as LLaMA's`);
  const steps = [...stepsOf(contents.normalizer), ...stepsOf(contents.pre_tokenizer)];
  const other = steps.find((step) => !marking.includes(String(step.type)) || (step.type === 'Replace' && step.content !== spaceMark));
  if (other || steps.length === 0)
    throw new TokenizerError(
      `it prepares text by ${other ? JSON.stringify(other) : 'nothing'}, expected a ${spaceMark} for each space, as LLaMA's does`,
    );
  const wrong = Object.entries(vocab).find(([, id]) => !isId(id));
  if (wrong) throw new TokenizerError(`the id of ${JSON.stringify(wrong[0])} is ${JSON.stringify(wrong[1])}, expected a whole number`);
  const merge = merges.find(
    (one) => typeof one !== 'string' && !(Array.isArray(one) && one.length === 2 && one.every((half) => typeof half === 'string')),
  );
  if (merge !== undefined) throw new TokenizerError(`a merge is ${JSON.stringify(merge)}, expected two pieces`);
  const added = contents.added_tokens ?? [];
  if (!Array.isArray(added) || !added.every((token) => isObject(token) && isId(token.id) && typeof token.content === 'string'))
    throw new TokenizerError('added_tokens is expected to be a list of tokens with id and content');
  return { ...contents, model: { ...contents.model, type }, added_tokens: added } as unknown as Contents;
}

/** Steps that mark spaces, and nothing else. */
const marking: readonly string[] = ['Prepend', 'Replace', 'Metaspace'];

/** The steps of a normalizer or pre_tokenizer, which may be a list of others. */
function stepsOf(part: unknown): Record<string, unknown>[] {
  if (!isObject(part)) return [];
  const inner = part.type === 'Sequence' ? (part.normalizers ?? part.pretokenizers) : undefined;
  return Array.isArray(inner) ? inner.flatMap(stepsOf) : [part];
}

class JsonVocabulary implements Vocabulary {
  readonly size: number;
  readonly controls: ReadonlyMap<string, number>;
  readonly added: ReadonlyMap<string, number>;
  readonly bos = '<s>';
  readonly eos = '</s>';
  readonly unk: string;
  private readonly pieces: string[] = [];
  private readonly ids: ReadonlyMap<string, number>;
  private readonly hasBytes: boolean;
  private readonly fusedUnknown: number | undefined;
  /** Whether words are merged each on its own. */
  private readonly splitsWords: boolean;

  constructor(
    { model, added_tokens: tokens }: Contents,
    private readonly tokenizer: JsonTokenizer,
  ) {
    const added = new Map<string, number>();
    const controls = new Map<string, number>();
    const ids = new Map(Object.entries(model.vocab));
    for (const [piece, id] of ids) {
      const other = this.pieces[id];
      if (other !== undefined) throw new TokenizerError(`${JSON.stringify(other)} and ${JSON.stringify(piece)} both have id ${id}`);
      this.pieces[id] = piece;
    }
    this.unk = model.unk_token ?? '<unk>';
    for (const { content, id, special } of tokens) {
      const isControl = ids.get(content) === id && special;
      (isControl ? controls : added).set(content, id);
    }
    const unknown = ids.get(this.unk);
    if (unknown !== undefined) controls.set(this.unk, unknown);
    this.size = this.pieces.length;
    this.ids = ids;
    this.controls = controls;
    this.added = added;
    this.splitsWords = ids.has(spaceMark) && !this.pieces.some(spansWords);
    this.hasBytes = model.byte_fallback === true;
    this.fusedUnknown = model.fuse_unk === true ? unknown : undefined;
  }

  idOf(piece: string): number | undefined {
    return this.ids.get(piece);
  }

  pieceOf(id: number): Piece | undefined {
    const text = this.pieces[id];
    if (text === undefined) return undefined;
    const byte = this.hasBytes ? byteOf(text) : undefined;
    if (byte !== undefined) return { kind: 'byte', text, byte };
    return this.controls.has(text) ? { kind: 'control', text } : { kind: 'text', text: text.replaceAll(spaceMark, ' ') };
  }

  encode(text: string): number[] {
    if (text === '') return [];
    const ids: number[] = [];
    for (const word of this.splitsWords ? wordsOf(text) : [marked(text)])
      for (const id of this.tokenizer.encode(word, { add_special_tokens: false }).ids)
        if (id !== this.fusedUnknown || ids.at(-1) !== id) ids.push(id);
    return ids;
  }
}
