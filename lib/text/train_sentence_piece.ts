/**
 * A vocabulary of sentencepiece made from texts, for a model that is trained from nothing: byte pairs, joined from the most frequent
 * down, with bytes for what is no piece. Sennrich et al. 2016, arXiv 1508.07909; Kudo and Richardson 2018, arXiv 1808.06226.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArgumentError } from '../errors';
import { type PieceOfModel, readSentencePieceModel, sentencePieceModel } from './sentence_piece_model';
import { addedTokens, imagePlaceholder } from './tokens';
import { pieceOfByte } from './vocabulary';
import { spaceMark, wordsOf } from './words';

const controls: readonly PieceOfModel[] = [
  { piece: '<unk>', score: 0, kind: 'unknown' },
  { piece: '<s>', score: 0, kind: 'control' },
  { piece: '</s>', score: 0, kind: 'control' },
];
/** A pair that is met once is no rule. */
const leastCount = 2;

/**
 * A piece is letters, with the space before them, or one character: words and punctuation stay apart.
 * @param texts - `[SEG]` and the other tokens of a prompt in them are none of their words.
 * @param size - pieces at most, controls and bytes among them; characters of `texts` all are pieces.
 * @returns the contents of a tokenizer.model.
 * @throws ArgumentError when `size` is too small for the characters.
 */
export function trainSentencePiece(texts: Iterable<string>, size: number): Buffer {
  const units = unitsOf(texts);
  const characters = [...new Set([spaceMark, ...[...units.keys()].flatMap((unit) => [...unit])])].sort();
  const bytes = Array.from({ length: 256 }, (_, byte): PieceOfModel => ({ piece: pieceOfByte(byte), score: 0, kind: 'byte' }));
  const room = size - controls.length - bytes.length - characters.length;
  if (!(room >= 0))
    throw new ArgumentError(`trainSentencePiece: size is ${size}, expected at least ${size - room}, the characters there are`);
  const pieces = [...joinedPairs(units, room), ...characters];
  return sentencePieceModel([
    ...controls,
    ...bytes,
    ...pieces.map((piece, rank): PieceOfModel => ({ piece, score: -rank, kind: 'normal' })),
  ]);
}

/**
 * Trains a vocabulary and writes it with the tokens that MGLMM adds to it: tokenizer.model and added_tokens.json in `folder`.
 * @returns how many tokens there are: the `vocab_size` of a model.
 */
export async function writeTokenizer(folder: string, texts: Iterable<string>, size: number): Promise<number> {
  const model = trainSentencePiece(texts, size);
  const { pieces } = readSentencePieceModel(model);
  await writeFile(join(folder, 'tokenizer.model'), model);
  const added = Object.fromEntries(addedTokens.map((token, i) => [token, pieces.length + i]));
  await writeFile(join(folder, 'added_tokens.json'), `${JSON.stringify(added, undefined, 2)}\n`);
  return pieces.length + addedTokens.length;
}

/** What may become a piece, with how often it is met. */
function unitsOf(texts: Iterable<string>): Map<string, number> {
  const tokens = [imagePlaceholder, '<s>', '</s>', ...addedTokens].map((token) => token.replace(/[[\]]/g, '\\$&')).join('|');
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const stretch of text.split(new RegExp(tokens)))
      for (const word of wordsOf(stretch.trim()))
        for (const [unit] of word.matchAll(/\u2581?\p{L}+|\u2581?./gsu)) counts.set(unit, (counts.get(unit) ?? 0) + 1);
  return counts;
}

/** Up to `room` unions, first the most frequent; of equals the first in order, so that the same texts give the same. */
function joinedPairs(units: ReadonlyMap<string, number>, room: number): string[] {
  const rows = Array.from(units, ([unit, count]) => ({ parts: [...unit], count }));
  const made: string[] = [];
  while (made.length < room) {
    const counts = new Map<string, number>();
    for (const { parts, count } of rows)
      for (let i = 1; i < parts.length; i++) {
        const union = `${parts[i - 1]} ${parts[i]}`;
        counts.set(union, (counts.get(union) ?? 0) + count);
      }
    let best: [string, number] = ['', leastCount - 1];
    for (const [pair, count] of counts)
      if (count > best[1] || (count === best[1] && best[0] !== '' && pair < best[0])) best = [pair, count];
    const [left, right] = best[0].split(' ');
    if (left === undefined || right === undefined) break;
    for (const row of rows) row.parts = joined(row.parts, left, right);
    if (!made.includes(left + right)) made.push(left + right);
  }
  return made;
}

function joined(parts: readonly string[], left: string, right: string): string[] {
  const result: string[] = [];
  for (const part of parts)
    if (part === right && result.at(-1) === left) result[result.length - 1] = left + right;
    else result.push(part);
  return result;
}
