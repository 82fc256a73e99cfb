/**
 * A sentencepiece vocabulary (tokenizer.model) of the byte-pair kind, as LLaMA has it: no normalisation, a space before the
 * text, spaces kept as U+2581, bytes for what is no piece. Fields: sentencepiece_model.proto.
 */
import { TokenizerError } from '../errors';
import { PairMerger } from './pair_merge';
import { ProtobufReader } from './protobuf';
import { byteOf, type Piece, pieceOfByte, spaceMark, type Vocabulary } from './vocabulary';

const kinds = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;
const kindNames = ['', 'normal', 'unknown', 'control', 'user-defined', 'unused', 'byte'];

/** Words up to this many UTF-16 units are remembered, this many of them. */
const rememberedLength = 32;
const rememberedWords = 16_384;

interface Stored {
  pieces: string[];
  scores: number[];
  kinds: number[];
  modelType: number;
  addsPrefix: boolean;
  marksSpaces: boolean;
  removesSpaces: boolean;
  normalizes: boolean;
  spaceIsSuffix: boolean;
  bos: string;
  eos: string;
  unk: string;
}

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
   * @throws TokenizerError when they are damaged, or of a kind that is not read (unigram, a normaliser, user-defined pieces).
   */
  constructor(bytes: Buffer) {
    const stored = read(bytes);
    refuseOthers(stored);
    this.size = stored.pieces.length;
    this.pieces = stored.pieces;
    this.kinds = stored.kinds;
    this.bos = stored.bos;
    this.eos = stored.eos;
    this.unk = stored.unk;
    const texts = new Map<string, number>();
    const reserved = new Map<string, number>();
    const controls = new Map<string, number>();
    let longest = 1;
    let splitsWords = true;
    stored.pieces.forEach((piece, id) => {
      const kind = stored.kinds[id];
      const map = kind === kinds.normal ? texts : reserved;
      if (map.has(piece)) throw new TokenizerError(`pieces ${map.get(piece)} and ${id} are both ${JSON.stringify(piece)}`);
      map.set(piece, id);
      if (kind === kinds.unknown || kind === kinds.control) controls.set(piece, id);
      if (kind !== kinds.normal) return;
      longest = Math.max(longest, piece.length);
      const space = piece.lastIndexOf(spaceMark);
      if (space > 0 && piece.slice(0, space) !== spaceMark.repeat(space)) splitsWords = false;
    });
    this.texts = texts;
    this.reserved = reserved;
    this.controls = controls;
    this.splitsWords = splitsWords && texts.has(spaceMark);
    this.unknown = stored.kinds.indexOf(kinds.unknown);
    this.hasBytes = stored.kinds.includes(kinds.byte);
    this.scores = Float32Array.from(stored.scores);
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
    // Half a surrogate pair is no character; the mark itself is a space too.
    const spaced = text.replace(/\p{Cs}/gu, '\uFFFD').replaceAll(spaceMark, ' ');
    const ids: number[] = [];
    if (this.splitsWords) {
      for (const word of wordsOf(spaced)) this.encodeWord(word, ids);
    } else {
      this.mergeWord(spaceMark + spaced.replaceAll(' ', spaceMark), ids);
    }
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

/** The words of a text, each with all its spaces before it; there is one more before the first. */
function* wordsOf(text: string): Generator<string> {
  let marks = '';
  for (const word of text.split(' ')) {
    marks += spaceMark;
    if (word === '') continue;
    yield marks + word;
    marks = '';
  }
  if (marks !== '') yield marks;
}

function read(bytes: Buffer): Stored {
  // Defaults are those of the proto file.
  const stored: Stored = {
    pieces: [],
    scores: [],
    kinds: [],
    modelType: 1,
    addsPrefix: true,
    marksSpaces: true,
    removesSpaces: true,
    normalizes: false,
    spaceIsSuffix: false,
    bos: '<s>',
    eos: '</s>',
    unk: '<unk>',
  };
  const file = new ProtobufReader(bytes);
  while (!file.done) {
    const field = file.field();
    if (field === 1) file.message(readPiece, stored);
    else if (field === 2) file.message(readTrainer, stored);
    else if (field === 3) file.message(readNormalizer, stored);
    else file.skip();
  }
  return stored;
}

function readPiece(message: ProtobufReader, stored: Stored): void {
  let piece = '';
  let score = 0;
  let kind: number = kinds.normal;
  while (!message.done) {
    const field = message.field();
    if (field === 1) piece = message.string();
    else if (field === 2) score = message.float();
    else if (field === 3) kind = message.integer();
    else message.skip();
  }
  stored.pieces.push(piece);
  stored.scores.push(score);
  stored.kinds.push(kind);
}

function readTrainer(message: ProtobufReader, stored: Stored): void {
  while (!message.done) {
    const field = message.field();
    if (field === 3) stored.modelType = message.integer();
    else if (field === 24) stored.spaceIsSuffix = message.integer() !== 0;
    else if (field === 45) stored.unk = message.string();
    else if (field === 46) stored.bos = message.string();
    else if (field === 47) stored.eos = message.string();
    else message.skip();
  }
}

function readNormalizer(message: ProtobufReader, stored: Stored): void {
  while (!message.done) {
    const field = message.field();
    if (field === 2) stored.normalizes = message.string() !== '';
    else if (field === 3) stored.addsPrefix = message.integer() !== 0;
    else if (field === 4) stored.removesSpaces = message.integer() !== 0;
    else if (field === 5) stored.marksSpaces = message.integer() !== 0;
    else message.skip();
  }
}

function refuseOthers(stored: Stored): void {
  const refuse = (what: string) => {
    throw new TokenizerError(`${what}; read are byte-pair models without a normaliser, as LLaMA's`);
  };
  if (stored.pieces.length === 0) throw new TokenizerError('it has no pieces; a sentencepiece model is expected');
  if (stored.modelType !== 2) refuse(`its model is of kind ${stored.modelType} (1 unigram, 2 byte pairs, 3 words, 4 characters)`);
  if (stored.normalizes) refuse('it normalises text by a table of characters');
  if (stored.removesSpaces) refuse('it removes extra spaces');
  if (!stored.addsPrefix) refuse('it puts no space before the text');
  if (!stored.marksSpaces) refuse('it does not mark spaces');
  if (stored.spaceIsSuffix) refuse('its spaces end pieces');
  stored.kinds.forEach((kind, id) => {
    const known = (Object.values(kinds) as number[]).includes(kind);
    if (!known) refuse(`piece ${id}, ${JSON.stringify(stored.pieces[id])}, is ${kindNames[kind] ?? `of kind ${kind}`}`);
    if (kind === kinds.byte && byteOf(stored.pieces[id] as string) === undefined)
      throw new TokenizerError(`piece ${id}, ${JSON.stringify(stored.pieces[id])}, is a byte, expected <0x00> to <0xFF>`);
    if (stored.pieces[id] === '') throw new TokenizerError(`piece ${id} is empty`);
  });
  const count = (kind: number) => stored.kinds.filter((one) => one === kind).length;
  if (count(kinds.unknown) !== 1) throw new TokenizerError(`it has ${count(kinds.unknown)} unknown pieces, expected 1`);
  const bytes = new Set(stored.pieces.filter((_, id) => stored.kinds[id] === kinds.byte)).size;
  if (bytes !== 0 && bytes !== 256) throw new TokenizerError(`it has pieces for ${bytes} bytes, expected all 256 or none`);
}
