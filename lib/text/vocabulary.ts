/** What a tokenizer asks of a vocabulary, be it read from tokenizer.model or from tokenizer.json. */

/**
 * What an id stands for. `text`: a piece, with spaces as such; `byte`: one byte of UTF-8; `control`: <s>, </s>, <unk> and the
 * like; `added`: a token that was added to the vocabulary, such as [SEG].
 */
export type Piece =
  | { readonly kind: 'text' | 'control' | 'added'; readonly text: string }
  | { readonly kind: 'byte'; readonly text: string; readonly byte: number };

export interface Vocabulary {
  /** Ids are below this. */
  readonly size: number;
  /** Tokens that stand for no text and that text never gives, with their ids. */
  readonly controls: ReadonlyMap<string, number>;
  /** What is added behind the pieces by the same file; tokenizer.model has none. */
  readonly added: ReadonlyMap<string, number>;
  readonly bos: string;
  readonly eos: string;
  readonly unk: string;
  /** The id of exactly this piece, with spaces as U+2581. */
  idOf(piece: string): number | undefined;
  /** Of an id below `size`; `undefined` where the vocabulary has a gap. */
  pieceOf(id: number): Piece | undefined;
  /** Ids of one stretch of text without tokens in it: a space is put before, then pieces are merged. */
  encode(text: string): number[];
}

const bytePiece = /^<0x([0-9A-F]{2})>$/;

/** The byte of `<0x0A>`. */
export function byteOf(piece: string): number | undefined {
  const digits = bytePiece.exec(piece)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

export const pieceOfByte = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
