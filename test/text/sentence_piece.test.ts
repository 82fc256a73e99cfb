import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TokenizerError } from '../../lib/errors';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { sentencePieceModel, smallModel, type WrittenModel, type WrittenPiece } from '../support/sentence_piece';
import { llama } from '../support/tokenizer_golden';

const small = (pieces: readonly WrittenPiece[], rest: Partial<WrittenModel> = {}) =>
  new SentencePiece(sentencePieceModel({ pieces, ...rest }));

const names = (vocabulary: SentencePiece, text: string) => vocabulary.encode(text).map((id) => vocabulary.pieceOf(id)?.text);

describe('encoding', () => {
  test('merges by score, not by length or place', () => {
    const vocabulary = small(smallModel(['bc', 'ab', 'abc', '▁', 'a', 'b', 'c']));
    expect(names(vocabulary, 'abc')).toEqual([' ', 'abc']);
    expect(names(small(smallModel(['ab', 'bc', '▁', 'a', 'b', 'c'])), 'abc')).toEqual([' ', 'ab', 'c']);
  });

  test('splits into words only where no piece spans them', () => {
    const vocabulary = small(smallModel(['b▁', 'b▁c', '▁', 'a', 'b', 'c']));
    expect(names(vocabulary, 'ab c')).toEqual([' ', 'a', 'b c']);
  });

  test('writes characters that are no pieces as bytes', () => {
    const vocabulary = small(smallModel(['▁', 'a'], { withBytes: true }));
    expect(names(vocabulary, 'aé\u{1f600}')).toEqual([' ', 'a', '<0xC3>', '<0xA9>', '<0xF0>', '<0x9F>', '<0x98>', '<0x80>']);
  });

  test('writes a run of them as one <unk> without bytes', () => {
    const vocabulary = small(smallModel(['▁', 'a']));
    expect(names(vocabulary, 'xyzaé')).toEqual([' ', '<unk>', 'a', '<unk>']);
  });

  test('takes half a surrogate pair for U+FFFD', () => {
    const vocabulary = small(smallModel(['▁', '\uFFFD']));
    expect(names(vocabulary, '\ud83d')).toEqual([' ', '\uFFFD']);
  });

  test('takes long texts of any kind in time that grows with their number', () => {
    const vocabulary = new SentencePiece(readFileSync(join(llama.folder, llama.config.tokenizer_model)));
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const letter = () => String.fromCharCode(97 + 26 * random());
    const word = () => Array.from({ length: 1 + 8 * random() }, letter).join('');
    const texts = {
      'one letter': (length: number) => 'a'.repeat(length),
      spaces: (length: number) => ' '.repeat(length),
      'no space': (length: number) => Array.from({ length }, letter).join(''),
      words: (length: number) => Array.from({ length: length / 5 }, word).join(' '),
    };
    for (const [name, make] of Object.entries(texts)) {
      const seconds = (length: number) => {
        const text = make(length);
        const begin = process.cpuUsage();
        vocabulary.encode(text);
        const used = process.cpuUsage(begin);
        return (used.user + used.system) / 1e6;
      };
      seconds(10_000);
      const [little, much] = [seconds(25_000), seconds(400_000)];
      // 16 times as much text; a quadratic method takes 256 times as long. The floor is for the noise of a short measurement.
      assert.ok(much < 64 * Math.max(little, 0.01), `${name}: ${little} s, then ${much} s`);
    }
  });
});

describe('a file that is not read', () => {
  const refused: [name: string, make: () => SentencePiece, message: string][] = [
    ['empty', () => new SentencePiece(Buffer.alloc(0)), 'it has no pieces; a sentencepiece model is expected'],
    [
      'unigram',
      () => small(smallModel(['a']), { modelType: 1 }),
      "its model is of kind 1 (1 unigram, 2 byte pairs, 3 words, 4 characters); read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'with a normaliser',
      () => small(smallModel(['a']), { charsmap: 'table' }),
      "it normalises text by a table of characters; read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'that removes spaces',
      () => small(smallModel(['a']), { removesSpaces: true }),
      "it removes extra spaces; read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'without a space before the text',
      () => small(smallModel(['a']), { addsPrefix: false }),
      "it puts no space before the text; read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'without marks',
      () => small(smallModel(['a']), { marksSpaces: false }),
      "it does not mark spaces; read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'with spaces at the end of pieces',
      () => small(smallModel(['a']), { spaceIsSuffix: true }),
      "its spaces end pieces; read are byte-pair models without a normaliser, as LLaMA's",
    ],
    [
      'with user-defined pieces',
      () => small([...smallModel(['a']), { piece: 'b', kind: 4 }]),
      `piece 4, "b", is user-defined; read are byte-pair models without a normaliser, as LLaMA's`,
    ],
    [
      'with pieces of an unheard-of kind',
      () => small([...smallModel(['a']), { piece: 'b', kind: 9 }]),
      `piece 4, "b", is of kind 9; read are byte-pair models without a normaliser, as LLaMA's`,
    ],
    [
      'with a byte that is none',
      () => small([...smallModel([]), { piece: '<0xG>', kind: 6 }]),
      'piece 3, "<0xG>", is a byte, expected <0x00> to <0xFF>',
    ],
    [
      'with some bytes',
      () => small([...smallModel([]), { piece: '<0x0A>', kind: 6 }]),
      'it has pieces for 1 bytes, expected all 256 or none',
    ],
    ['without <unk>', () => small([{ piece: 'a' }]), 'it has 0 unknown pieces, expected 1'],
    ['with an empty piece', () => small(smallModel([''])), 'piece 3 is empty'],
    ['with U+0000', () => small(smallModel(['a\0b'])), 'a piece has a character U+0000'],
    ['with a piece twice', () => small(smallModel(['a', 'a'])), 'two of its pieces are the same'],
    ['that ends early', () => new SentencePiece(Buffer.from([10, 200])), 'it ends at byte 2, inside a field of 1 bytes at byte 2'],
    [
      'that ends in a piece',
      () => new SentencePiece(Buffer.from([10, 100, 10])),
      'it ends at byte 3, inside a field of 100 bytes at byte 2',
    ],
    ['of other fields', () => new SentencePiece(Buffer.from([8, 1])), 'a field at byte 1 is written in form 0, expected 2'],
    ['of unknown forms', () => new SentencePiece(Buffer.from([35])), 'a field at byte 1 is written in form 3, expected 0, 1, 2 or 5'],
    ['with an endless number', () => new SentencePiece(Buffer.alloc(12, 255)), 'a number at byte 10 has more than 10 bytes'],
  ];

  test.each(refused)('%s', (_, make, message) => {
    expect(make).toThrow(TokenizerError);
    expect(make).toThrow(new TokenizerError(message));
  });

  test('is a typed error, whatever byte is damaged', () => {
    const whole = sentencePieceModel({ pieces: smallModel(['ab', '▁', 'a', 'b'], { withBytes: true }) });
    const damage = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length));
    fc.assert(
      fc.property(damage, ([at, value, length]) => {
        const bytes = Buffer.from(whole.subarray(0, Math.max(length, at + 1)));
        bytes[at] = value;
        try {
          new SentencePiece(bytes).encode('ab é');
        } catch (error) {
          assert.ok(error instanceof TokenizerError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
