/** Writes small sentencepiece models, and a tokenizer.json of the same pieces. */
import { SentencePiece } from '../../lib/text/sentence_piece';

export interface WrittenPiece {
  piece: string;
  score?: number;
  /** 1 normal (default), 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  kind?: number;
}

export interface WrittenModel {
  pieces: readonly WrittenPiece[];
  /** 1 unigram, 2 byte pairs (default). */
  modelType?: number;
  charsmap?: string;
  addsPrefix?: boolean;
  removesSpaces?: boolean;
  marksSpaces?: boolean;
  spaceIsSuffix?: boolean;
}

const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
const numbered = (field: number, value: number): Buffer => Buffer.from([...varint(field * 8), ...varint(value)]);
const bytes = (field: number, value: Buffer | string): Buffer => {
  const contents = Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(contents.length)]), contents]);
};
const float = (field: number, value: number): Buffer => {
  const contents = Buffer.alloc(4);
  contents.writeFloatLE(value);
  return Buffer.concat([Buffer.from(varint(field * 8 + 5)), contents]);
};

/** The bytes of a tokenizer.model. */
export function sentencePieceModel(model: WrittenModel): Buffer {
  const pieces = model.pieces.map(({ piece, score = 0, kind = 1 }) =>
    bytes(1, Buffer.concat([bytes(1, piece), float(2, score), ...(kind === 1 ? [] : [numbered(3, kind)])])),
  );
  const trainer = bytes(2, Buffer.concat([numbered(3, model.modelType ?? 2), numbered(24, Number(model.spaceIsSuffix ?? false))]));
  const normalizer = bytes(
    3,
    Buffer.concat([
      bytes(1, 'identity'),
      bytes(2, model.charsmap ?? ''),
      numbered(3, Number(model.addsPrefix ?? true)),
      numbered(4, Number(model.removesSpaces ?? false)),
      numbered(5, Number(model.marksSpaces ?? true)),
    ]),
  );
  return Buffer.concat([...pieces, trainer, normalizer]);
}

/** <unk>, <s>, </s>, then `texts` (merged ones first to last, by falling score), bytes when asked for. */
export function smallModel(texts: readonly string[], { withBytes = false } = {}): WrittenPiece[] {
  const byteNames = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  return [
    { piece: '<unk>', kind: 2 },
    { piece: '<s>', kind: 3 },
    { piece: '</s>', kind: 3 },
    ...(withBytes ? byteNames.map((piece) => ({ piece, kind: 6 })) : []),
    ...texts.map((piece, at) => ({ piece, score: -at })),
  ];
}

export type Spaces = 'normalizer' | 'metaspace';

/** A tokenizer.json of the same pieces: a merge is every way to make a piece of two others, by falling score of the piece. */
export function tokenizerJsonOf(model: Buffer, spaces: Spaces = 'normalizer'): Record<string, unknown> {
  const vocabulary = new SentencePiece(model);
  const names = Array.from({ length: vocabulary.size }, (_, id) => {
    const piece = vocabulary.pieceOf(id);
    return piece?.kind === 'text' ? piece.text.replaceAll(' ', '\u2581') : (piece?.text as string);
  });
  const ids = new Map(names.map((name, id) => [name, id]));
  const merges: [string, string][] = [];
  const texts = names.filter((_, id) => vocabulary.pieceOf(id)?.kind === 'text');
  const score = (name: string) => vocabulary.scoreOf(ids.get(name) as number) as number;
  for (const name of texts.sort((a, b) => score(b) - score(a))) {
    const ways: [string, string][] = [];
    for (let at = 1; at < name.length; at++)
      if (ids.has(name.slice(0, at)) && ids.has(name.slice(at))) ways.push([name.slice(0, at), name.slice(at)]);
    merges.push(...ways);
  }
  const metaspace = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'first', split: false };
  const prepend = {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '\u2581' },
      { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
    ],
  };
  return {
    version: '1.0',
    added_tokens: [...vocabulary.controls].map(([content, id]) => ({
      id,
      content,
      special: true,
      normalized: false,
      lstrip: false,
      rstrip: false,
    })),
    normalizer: spaces === 'normalizer' ? prepend : null,
    pre_tokenizer: spaces === 'metaspace' ? metaspace : null,
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: vocabulary.unk,
      fuse_unk: true,
      byte_fallback: names.includes('<0x00>'),
      vocab: Object.fromEntries(ids),
      merges,
    },
  };
}
