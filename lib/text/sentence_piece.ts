/**
 * A vocabulary of sentencepiece, of the byte-pair kind, as LLaMA has it: no normalisation, a space before the text, spaces kept
 * as U+2581, bytes for what is no piece. Kudo and Richardson 2018, arXiv 1808.06226.
 */
import { TokenizerError } from '../errors';
import { PairMerger } from './pair_merge';
import { kinds, readSentencePieceModel } from './sentence_piece_model';
import { byteOf, type Piece, pieceOfByte, type Vocabulary } from './vocabulary';
import { marked, spaceMark, spansWords, wordsOf } from './words';

/** Words up to this many UTF-16 units are remembered, this many of them. */
const rememberedLength = 32;
const rememberedWords = 16_384;

export class SentencePiece implements Vocabulary {
  readonly size: number;
  readonly controls: ReadonlyMap<string, number>;
  readonly added: ReadonlyMap<string, number> = new Map();
  readonly bos: string;
  readonly eos: string;
  readonly unk: string;
  private readonly pieces: readonly string[];
  private readonly kinds: readonly number[];
  private readonly scores: Float32Array;
  private readonly texts: ReadonlyMap<string, number>;
  private readonly reserved: ReadonlyMap<string, number>;
  private readonly merger: PairMerger;
  private readonly words = new Map<string, readonly number[]>();
  /** Whether a space is a piece and no piece has one after another character, so that words are merged each on its own. */
  private readonly splitsWords: boolean;
  private readonly unknown: number;
  private readonly hasBytes: boolean;

  /**
   * @param bytes - The contents of tokenizer.model.
   * @throws TokenizerError when they are damaged, or of a kind that is not read.
   */
  constructor(bytes: Buffer) {
    const model = readSentencePieceModel(bytes);
    this.pieces = model.pieces;
    this.kinds = model.kinds;
    this.scores = Float32Array.from(model.scores);
    this.size = model.pieces.length;
    this.bos = model.bos;
    this.eos = model.eos;
    this.unk = model.unk;
    const texts = new Map<string, number>();
    const reserved = new Map<string, number>();
    const controls = new Map<string, number>();
    let longest = 1;
    let splitsWords = true;
    for (let id = 0; id < this.size; id++) {
      const piece = model.pieces[id] as string;
      const kind = model.kinds[id];
      if (kind === kinds.normal) {
        texts.set(piece, id);
        if (piece.length > longest) longest = piece.length;
        if (splitsWords && spansWords(piece)) splitsWords = false;
      } else {
        reserved.set(piece, id);
        if (kind !== kinds.byte) controls.set(piece, id);
      }
    }
    if (texts.size + reserved.size !== this.size) throw new TokenizerError('two of its pieces are the same');
    this.texts = texts;
    this.reserved = reserved;
    this.controls = controls;
    this.splitsWords = splitsWords && texts.has(spaceMark);
    this.unknown = model.kinds.indexOf(kinds.unknown);
    this.hasBytes = model.kinds.includes(kinds.byte);
    this.merger = new PairMerger(texts, this.scores, longest);
  }

  idOf(piece: string): number | undefined {
    return this.reserved.get(piece) ?? this.texts.get(piece);
  }

  pieceOf(id: number): Piece | undefined {
    const text = this.pieces[id];
    if (text === undefined) return undefined;
    if (this.kinds[id] === kinds.byte) return { kind: 'byte', text, byte: byteOf(text) as number };
    return this.kinds[id] === kinds.normal ? { kind: 'text', text: text.replaceAll(spaceMark, ' ') } : { kind: 'control', text };
  }

  /** Of two unions that could be made, that of the higher score is. */
  scoreOf(id: number): number | undefined {
    return this.scores[id];
  }

  encode(text: string): number[] {
    if (text === '') return [];
    const ids: number[] = [];
    if (this.splitsWords) for (const word of wordsOf(text)) this.encodeWord(word, ids);
    else this.mergeWord(marked(text), ids);
    return ids;
  }

  private encodeWord(word: string, ids: number[]): void {
    if (word.length > rememberedLength) {
      this.mergeWord(word, ids);
      return;
    }
    let remembered = this.words.get(word);
    if (remembered === undefined) {
      const own: number[] = [];
      this.mergeWord(word, own);
      remembered = own;
      if (this.words.size >= rememberedWords) this.words.clear();
      this.words.set(word, own);
    }
    for (const id of remembered) ids.push(id);
  }

  private mergeWord(word: string, ids: number[]): void {
    let unknownBefore = false;
    this.merger.merge(word, (begin, end, id) => {
      if (id >= 0) ids.push(id);
      else if (this.hasBytes) {
        for (const byte of Buffer.from(word.slice(begin, end))) ids.push(this.reserved.get(pieceOfByte(byte)) as number);
      } else if (!unknownBefore) ids.push(this.unknown);
      unknownBefore = id < 0;
    });
  }
}
