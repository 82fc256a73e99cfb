import { strict as assert } from 'node:assert';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArgumentError, LengthError, TokenizerError } from '../../lib/errors';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { createTokenizer, loadTokenizer, maxTextLength, type Tokenizer } from '../../lib/text/tokenizer';
import { readTokenizerJson } from '../../lib/text/tokenizer_json';
import { addedTokens, imagePlaceholder } from '../../lib/text/tokens';
import { sentencePieceModel, smallModel, tokenizerJsonOf } from '../support/sentence_piece';
import { mglmmTokenizer } from '../support/tokenizer_golden';

const model = sentencePieceModel({ pieces: smallModel(['ab', '▁a', '▁', 'a', 'b', '<', 's', '>'], { withBytes: true }) });
const size = 3 + 256 + 8;

/** A folder with these files. */
function folderOf(files: Record<string, unknown>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mglmm-tokenizer-'));
  for (const [name, contents] of Object.entries(files))
    writeFileSync(join(folder, name), Buffer.isBuffer(contents) || typeof contents === 'string' ? contents : JSON.stringify(contents));
  return folder;
}

const load = (files: Record<string, unknown>) => loadTokenizer(folderOf({ 'tokenizer.model': model, ...files }));

/** The message says the folder, which has another name each time. */
const rejects = (loading: Promise<unknown>, message: string) =>
  assert.rejects(loading, (error) => {
    assert.ok(error instanceof TokenizerError, String(error));
    assert.equal(error.message.replaceAll(/\S*mglmm-tokenizer-\w+/g, 'DIR'), message);
    return true;
  });

describe('the files of a folder', () => {
  test('give tokens: added_tokens.json', async () => {
    const tokenizer = await load({ 'added_tokens.json': { '[SEG]': size, '<s>': 1 } });
    expect(tokenizer.size).toBe(size + 1);
    expect([...tokenizer.added]).toEqual([['[SEG]', size]]);
    expect(tokenizer.idOf('[SEG]')).toBe(size);
    expect(tokenizer.idOf('▁a')).toBe(3 + 256 + 1);
    expect(tokenizer.idOf('none')).toBe(undefined);
  });

  test('give tokens: tokenizer_config.json', async () => {
    const decoder = { 0: { content: '<unk>' }, [size]: { content: '<p>', special: true } };
    const tokenizer = await load({ 'tokenizer_config.json': { added_tokens_decoder: decoder } });
    expect([...tokenizer.added]).toEqual([['<p>', size]]);
  });

  test('give roles: special_tokens_map.json before tokenizer_config.json', async () => {
    const tokenizer = await load({
      'added_tokens.json': { '<pad>': size },
      'special_tokens_map.json': { pad_token: '<pad>', eos_token: { content: '</s>', lstrip: false } },
      'tokenizer_config.json': { pad_token: '<unk>', bos_token: '<s>' },
    });
    expect([tokenizer.unk, tokenizer.bos, tokenizer.eos, tokenizer.pad]).toEqual([0, 1, 2, size]);
  });

  test('pad by <unk> when they name no padding', async () => expect((await load({})).pad).toBe(0));

  test('are tokenizer.json without tokenizer.model', async () => {
    const json = tokenizerJsonOf(model) as { added_tokens: unknown[] };
    json.added_tokens.push({ id: size, content: '[SEG]', special: true });
    const tokenizer = await loadTokenizer(folderOf({ 'tokenizer.json': json }));
    const text = 'ab [SEG] a</s>b <é';
    const same = await load({ 'added_tokens.json': { '[SEG]': size } });
    expect(tokenizer.encode(text, { special: true })).toEqual(same.encode(text, { special: true }));
    expect(tokenizer.encode(text)).toEqual(same.encode(text));
    expect(tokenizer.size).toBe(size + 1);
  });
});

describe('a folder that is not read', () => {
  const noJson = JSON.stringify({}).slice(1);
  const refused: [name: string, files: Record<string, unknown>, message: string][] = [
    ['of a damaged model', { 'tokenizer.model': 'x' }, 'DIR/tokenizer.model: it ends at byte 1, inside a field of 1 bytes at byte 1'],
    ['of an object that is none', { 'added_tokens.json': [] }, 'DIR/added_tokens.json is expected to be an object'],
    [
      'of an id that is none',
      { 'added_tokens.json': { '[SEG]': -1 } },
      'DIR/added_tokens.json: the id of [SEG] is -1, expected a whole number',
    ],
    ['of an empty token', { 'added_tokens.json': { '': 300 } }, 'DIR/added_tokens.json: the token of id 300 is empty'],
    [
      'of two ids for a token',
      { 'added_tokens.json': { '[SEG]': 300 }, 'tokenizer_config.json': { added_tokens_decoder: { 301: '[SEG]' } } },
      'DIR/tokenizer_config.json: [SEG] has id 301, and 300 in added_tokens.json',
    ],
    [
      'of an id that is taken',
      { 'added_tokens.json': { '[SEG]': 3 + 256 } },
      'DIR/tokenizer.model: the added token [SEG] has id 259, which is "ab" already',
    ],
    [
      'of an id for two tokens',
      { 'added_tokens.json': { '[SEG]': 300, '<p>': 300 } },
      'DIR/tokenizer.model: the added token <p> has id 300, which is "[SEG]" already',
    ],
    [
      'of a role without a token',
      { 'special_tokens_map.json': { pad_token: '[PAD]' } },
      'DIR/tokenizer.model: its pad token is "[PAD]", which is no token of the vocabulary',
    ],
    [
      'of a role that is a mere piece',
      { 'special_tokens_map.json': { eos_token: 'ab' } },
      'DIR/tokenizer.model: its eos token is "ab", which is no token of the vocabulary',
    ],
  ];

  test.each(refused)('%s', (_, files, message) => rejects(load(files), message));

  test('of JSON that is none', () =>
    assert.rejects(
      load({ 'added_tokens.json': noJson }),
      (error: Error) => error instanceof TokenizerError && /added_tokens\.json is no JSON: /.test(error.message),
    ));

  test('of neither file', () =>
    rejects(loadTokenizer(folderOf({})), 'DIR has neither tokenizer.model nor tokenizer.json; copy one from the model it was made from'));

  test('of no folder at all', async () => {
    await assert.rejects(loadTokenizer('/no/such/folder'), TokenizerError);
    await assert.rejects(loadTokenizer(undefined as never), {
      name: 'ArgumentError',
      message: 'loadTokenizer: folder is undefined, expected a string',
    });
  });
});

describe('tokenizer.json that is not read', () => {
  const marks = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const refused: [name: string, contents: unknown, message: string][] = [
    ['without a model', {}, 'it has no model; a tokenizer.json is expected'],
    ['of words', { model: { type: 'WordPiece', vocab: {} } }, "its model is WordPiece, expected BPE with vocab and merges, as LLaMA's"],
    [
      'of bytes',
      { model: { type: 'BPE', vocab: {}, merges: [] }, pre_tokenizer: { type: 'ByteLevel' } },
      `it prepares text by {"type":"ByteLevel"}, expected a ▁ for each space, as LLaMA's does`,
    ],
    ['of no marks', { model: { vocab: {}, merges: [] } }, "it prepares text by nothing, expected a ▁ for each space, as LLaMA's does"],
    [
      'of an id that is none',
      { model: { vocab: { a: 'b' }, merges: [] }, normalizer: marks },
      'the id of "a" is "b", expected a whole number',
    ],
    ['of an id for two', { model: { vocab: { a: 0, b: 0 }, merges: [] }, normalizer: marks }, '"a" and "b" both have id 0'],
    [
      'of tokens that are none',
      { model: { vocab: { a: 0 }, merges: [] }, normalizer: marks, added_tokens: [1] },
      'added_tokens is expected to be a list of tokens with id and content',
    ],
  ];

  test.each(refused)('%s', async (_, contents, message) => {
    await assert.rejects(
      readTokenizerJson(JSON.stringify(contents)),
      (error) => error instanceof TokenizerError && error.message === message,
    );
  });

  test('of JSON that is none', () => assert.rejects(readTokenizerJson('{'), TokenizerError));
});

describe('bad arguments', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load({});
  });

  test('ids that are none', () => {
    for (const id of [size, -1, 1.5, Number.NaN])
      expect(() => tokenizer.decode([1, id])).toThrow(
        new ArgumentError(`pieceOf: id is ${id}, expected one of the tokenizer's, from 0 to ${size - 1}`),
      );
  });

  test('no ids at all', () =>
    expect(() => tokenizer.decode(5 as unknown as number[])).toThrow(new ArgumentError('decode: ids is number, expected ids')));

  test('text that is none', () =>
    expect(() => tokenizer.encode(5 as unknown as string)).toThrow(new ArgumentError('encode: text is number, expected a string')));

  test('text that is too long', () => {
    expect(tokenizer.encode(' '.repeat(maxTextLength)).length).toBe(maxTextLength + 1);
    expect(() => tokenizer.encode(' '.repeat(maxTextLength + 1))).toThrow(
      new LengthError(`encode: text has ${maxTextLength + 1} characters, expected at most ${maxTextLength}`),
    );
  });
});

describe('of any text', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await mglmmTokenizer();
  });
  const tokens = [...addedTokens, imagePlaceholder, '<s>', '</s>', '<unk>', '<0x0A>', '\u2581', ' ', '\n', '\u00a0', '\ud800'];
  const text = fc
    .array(fc.oneof(fc.constantFrom(...tokens), fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ maxLength: 8 })))
    .map((all) => all.join(''));

  test('no id is a token, and the text comes back', () =>
    fc.assert(
      fc.property(text, (said) => {
        const ids = tokenizer.encode(said);
        for (const id of ids) expect(['text', 'byte']).toContain(tokenizer.pieceOf(id).kind);
        expect(tokenizer.decode(ids)).toBe(Buffer.from(said).toString().replaceAll('\u2581', ' '));
      }),
      { numRuns: 1000 },
    ));

  test('only the tokens that are named are taken as such', () =>
    fc.assert(
      fc.property(text, (said) => {
        const ids = tokenizer.encodeParts([{ text: said, special: new Set(['[SEG]']) }]);
        const found = ids.map((id) => tokenizer.pieceOf(id)).filter(({ kind }) => kind === 'added' || kind === 'control');
        expect(found.map((piece) => piece.text)).toEqual(said.match(/\[SEG\]/g) ?? []);
      }),
    ));

  test('parts are encoded as the whole', () =>
    fc.assert(
      fc.property(text, fc.nat(), (said, cut) => {
        const at = cut % (said.length + 1);
        const parts = [{ text: said.slice(0, at) }, { text: said.slice(at) }];
        expect(tokenizer.encodeParts(parts)).toEqual(tokenizer.encode(said));
      }),
    ));

  test.each(['normalizer', 'metaspace'] as const)('both files give the same ids, spaces marked by a %s', async (spaces) => {
    const pieces = createTokenizer(new SentencePiece(model));
    const json = createTokenizer(await readTokenizerJson(JSON.stringify(tokenizerJsonOf(model, spaces))));
    fc.assert(
      fc.property(text, fc.boolean(), (said, special) => expect(json.encode(said, { special })).toEqual(pieces.encode(said, { special }))),
      { numRuns: 500 },
    );
  });
});
