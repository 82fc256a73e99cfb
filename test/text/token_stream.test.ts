import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArgumentError } from '../../lib/errors';
import { TokenStream } from '../../lib/text/token_stream';
import { loadTokenizer, type Tokenizer } from '../../lib/text/tokenizer';
import { mglmmTokenizer, tokenizerFolder, tokenizerGoldens } from '../support/tokenizer_golden';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await mglmmTokenizer();
});

const isControl = (id: number) => tokenizer.pieceOf(id).kind === 'control';

/** What comes with each id, and at the end. */
function streamed(ids: readonly number[], by = tokenizer): string[] {
  const stream = new TokenStream(by);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

const byte = (value: number) => tokenizer.idOf(`<0x${value.toString(16).toUpperCase().padStart(2, '0')}>`) as number;

test('gives a character when its last byte is there', () => {
  const bytes = [...Buffer.from('é😀')].map(byte);
  expect(streamed(bytes)).toEqual(['', 'é', '', '', '', '😀', '']);
});

test('writes bytes that are no character as U+FFFD each', () => {
  expect(streamed([0xe2, 0x82, 0x41].map(byte))).toEqual(['', '', '\ufffd\ufffdA', '']);
  expect(streamed([0xc0, 0xf5, 0xed, 0xa0].map(byte))).toEqual(['\ufffd', '\ufffd', '', '\ufffd\ufffd', '']);
  expect(streamed([byte(0xf0), byte(0x9f), tokenizer.idOf('▁a') as number])).toEqual(['', '', '\ufffd\ufffd a', '']);
  expect(streamed([byte(0xf0), byte(0x9f), tokenizer.idOf('[SEG]') as number])).toEqual(['', '', '\ufffd\ufffd [SEG]', '']);
  expect(streamed([byte(0xf0), byte(0x9f)])).toEqual(['', '', '\ufffd\ufffd']);
});

test('joins to the whole text of each golden string, control tokens aside', async () => {
  for (const golden of tokenizerGoldens) {
    const own = await loadTokenizer(tokenizerFolder(golden));
    for (const { ids } of golden.read<{ ids: number[] }[]>('strings.json'))
      expect(streamed(ids, own).join('')).toBe(own.decode(ids.filter((id) => own.pieceOf(id).kind !== 'control')));
  }
});

test('joins to the whole text of any ids, and never gives half a character', () => {
  const id = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 32_006 }), fc.integer({ min: 32_000, max: 32_006 }));
  fc.assert(
    fc.property(fc.array(id, { maxLength: 40 }), (ids) => {
      const texts = streamed(ids);
      expect(texts.join('')).toBe(tokenizer.decode(ids.filter((one) => !isControl(one))));
      for (const text of texts) expect(/\p{Cs}/u.test(text)).toBe(false);
    }),
    { numRuns: 1000 },
  );
});

test('decodes valid and invalid UTF-8 as Node does, but for one U+FFFD a byte', () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xa0, 0xed, 0xf0, 0x90, 0xf4, 0x8f, 0xff), fc.nat(255)), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(bytes, (all) => {
      const text = streamed(all.map(byte)).join('');
      // Where Node finds no error both are the same; elsewhere the whole characters are.
      const node = Buffer.from(all).toString('utf8');
      expect(text.replaceAll('\ufffd', '')).toBe(node.replaceAll('\ufffd', ''));
      if (!node.includes('\ufffd')) expect(text).toBe(node);
    }),
    { numRuns: 2000 },
  );
});

test('refuses ids that are none', () =>
  expect(() => new TokenStream(tokenizer).push(99_999)).toThrow(
    new ArgumentError("pieceOf: id is 99999, expected one of the tokenizer's, from 0 to 32006"),
  ));
