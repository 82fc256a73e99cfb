/** The contents of a sentencepiece model file (tokenizer.model). Fields: sentencepiece_model.proto of google/sentencepiece. */
import { TokenizerError } from '../errors';
import { ProtobufReader, type ProtobufValue, protobufMessage } from './protobuf';
import { byteOf } from './vocabulary';

export const kinds = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;
const kindNames = ['', 'normal', 'unknown', 'control', 'user-defined', 'unused', 'byte'];

export interface SentencePieceModel {
  readonly pieces: readonly string[];
  /** Of two unions that could be made, that of the higher score is. */
  readonly scores: readonly number[];
  readonly kinds: readonly number[];
  readonly bos: string;
  readonly eos: string;
  readonly unk: string;
}

/** What is read, with the defaults of the proto file. */
class Contents {
  /** The pieces, each with a byte 0 behind it: to make one string and split it is much faster than to make each. */
  readonly names: Buffer;
  nameBytes = 0;
  readonly scores: number[] = [];
  readonly kinds: number[] = [];
  modelType = 1;
  addsPrefix = true;
  marksSpaces = true;
  removesSpaces = true;
  normalizes = false;
  spaceIsSuffix = false;
  bos = '<s>';
  eos = '</s>';
  unk = '<unk>';

  constructor(fileBytes: number) {
    this.names = Buffer.allocUnsafe(fileBytes);
  }
}

/**
 * @param bytes - The contents of tokenizer.model.
 * @throws TokenizerError when they are damaged, or of a kind that is not read: unigram, a normaliser, user-defined pieces.
 */
export function readSentencePieceModel(bytes: Buffer): SentencePieceModel {
  const contents = new Contents(bytes.length);
  const file = new ProtobufReader(bytes);
  while (!file.done) {
    const field = file.field();
    if (field === 1) file.message(readPiece, contents);
    else if (field === 2) file.message(readTrainer, contents);
    else if (field === 3) file.message(readNormalizer, contents);
    else file.skip();
  }
  refuseOthers(contents);
  const pieces = contents.names.toString('utf8', 0, contents.nameBytes).split('\0');
  pieces.pop();
  refuseOtherPieces(pieces, contents.kinds);
  const { scores, bos, eos, unk } = contents;
  return { pieces, scores, kinds: contents.kinds, bos, eos, unk };
}

function readPiece(fields: ProtobufReader, contents: Contents): void {
  let score = 0;
  let kind: number = kinds.normal;
  while (!fields.done) {
    const field = fields.field();
    if (field === 1) contents.nameBytes = fields.copy(contents.names, contents.nameBytes);
    else if (field === 2) score = fields.float();
    else if (field === 3) kind = fields.integer();
    else fields.skip();
  }
  contents.names[contents.nameBytes++] = 0;
  contents.scores.push(score);
  contents.kinds.push(kind);
}

function readTrainer(fields: ProtobufReader, contents: Contents): void {
  while (!fields.done) {
    const field = fields.field();
    if (field === 3) contents.modelType = fields.integer();
    else if (field === 24) contents.spaceIsSuffix = fields.integer() !== 0;
    else if (field === 45) contents.unk = fields.string();
    else if (field === 46) contents.bos = fields.string();
    else if (field === 47) contents.eos = fields.string();
    else fields.skip();
  }
}

function readNormalizer(fields: ProtobufReader, contents: Contents): void {
  while (!fields.done) {
    const field = fields.field();
    if (field === 2) contents.normalizes = fields.string() !== '';
    else if (field === 3) contents.addsPrefix = fields.integer() !== 0;
    else if (field === 4) contents.removesSpaces = fields.integer() !== 0;
    else if (field === 5) contents.marksSpaces = fields.integer() !== 0;
    else fields.skip();
  }
}

function refuse(what: string): never {
  throw new TokenizerError(`${what}; read are byte-pair models without a normaliser, as LLaMA's`);
}

function refuseOthers(contents: Contents): void {
  if (contents.kinds.length === 0) throw new TokenizerError('it has no pieces; a sentencepiece model is expected');
  if (contents.modelType !== 2) refuse(`its model is of kind ${contents.modelType} (1 unigram, 2 byte pairs, 3 words, 4 characters)`);
  if (contents.normalizes) refuse('it normalises text by a table of characters');
  if (contents.removesSpaces) refuse('it removes extra spaces');
  if (!contents.addsPrefix) refuse('it puts no space before the text');
  if (!contents.marksSpaces) refuse('it does not mark spaces');
  if (contents.spaceIsSuffix) refuse('its spaces end pieces');
}

function refuseOtherPieces(pieces: readonly string[], kindOf: readonly number[]): void {
  if (pieces.length !== kindOf.length) throw new TokenizerError('a piece has a character U+0000');
  let unknown = 0;
  const bytes = new Set<number>();
  for (let id = 0; id < pieces.length; id++) {
    const kind = kindOf[id] as number;
    if (pieces[id] === '') throw new TokenizerError(`piece ${id} is empty`);
    if (kind === kinds.normal || kind === kinds.control) continue;
    if (kind === kinds.unknown) unknown++;
    else if (kind === kinds.byte) {
      const byte = byteOf(pieces[id] as string);
      if (byte === undefined) throw new TokenizerError(`piece ${id}, ${JSON.stringify(pieces[id])}, is a byte, expected <0x00> to <0xFF>`);
      bytes.add(byte);
    } else refuse(`piece ${id}, ${JSON.stringify(pieces[id])}, is ${kindNames[kind] || `of kind ${kind}`}`);
  }
  if (unknown !== 1) throw new TokenizerError(`it has ${unknown} unknown pieces, expected 1`);
  if (bytes.size !== 0 && bytes.size !== 256) throw new TokenizerError(`it has pieces for ${bytes.size} bytes, expected all 256 or none`);
}

export interface PieceOfModel {
  readonly piece: string;
  readonly score: number;
  readonly kind: keyof typeof kinds;
}

/** The bytes of a tokenizer.model as LLaMA's is: byte pairs, no normaliser, a space before the text. Ids are places in the list. */
export function sentencePieceModel(pieces: readonly PieceOfModel[]): Buffer {
  const hasBytes = pieces.some(({ kind }) => kind === 'byte');
  const trainer: [number, ProtobufValue][] = [
    [3, 2],
    [4, pieces.length],
    [35, Number(hasBytes)],
  ];
  const normalizer: [number, ProtobufValue][] = [
    [1, Buffer.from('identity')],
    [3, 1],
    [4, 0],
    [5, 1],
  ];
  return protobufMessage([
    ...pieces.map(({ piece, score, kind }): [number, ProtobufValue] => [
      1,
      protobufMessage([
        [1, Buffer.from(piece)],
        [2, { float: score }],
        [3, kinds[kind]],
      ]),
    ]),
    [2, protobufMessage(trainer)],
    [3, protobufMessage(normalizer)],
  ]);
}
