/** The text of an answer while its tokens come, and where a named string ends it. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { AnswerText } from '../../lib/inference/answer_text';
import { parseSegCapIds } from '../../lib/text/segcap';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { createTokenizer } from '../../lib/text/tokenizer';
import { sentencePieceModel, smallModel } from '../support/sentence_piece';
import { tinyTokenizer } from '../support/tiny_model';

const size = 70;
const added = new Map(['[SEG]', '<p>', '</p>'].map((token, i) => [token, size + i]));
const tokenizer = createTokenizer(new SentencePiece(tinyTokenizer(size)), { added });
/** One that has pieces of white space. */
const pieces = ['▁', '\n', '.', 'a', 'cat', 'is', 'it'];
const spaced = createTokenizer(new SentencePiece(sentencePieceModel({ pieces: smallModel(pieces) })), {
  added: new Map(['[SEG]', '<p>', '</p>'].map((token, i) => [token, pieces.length + 3 + i])),
});
const idsOf = (text: string) => tokenizer.encode(text, { special: true });

/** What is told of `ids`, token by token, until a stop string ends them. */
function read(ids: readonly number[], stops: readonly string[], of = tokenizer) {
  const text = new AnswerText(of, stops);
  const told = { text: '', phrases: [] as string[], segments: [] as number[], inPhrases: '', ids: 0, stopped: false };
  const take = () => {
    const { text: part, inPhrase, phrases, segments } = text.take();
    told.text += part;
    if (inPhrase) told.inPhrases += part;
    told.phrases.push(...phrases.map(({ phrase }) => phrase));
    told.segments.push(...segments.map(({ seg }) => seg));
  };
  for (const id of ids) {
    told.ids++;
    told.stopped = text.push(id);
    if (told.stopped) break;
    take();
  }
  const result = text.end();
  take();
  return { told, result };
}

describe('AnswerText', () => {
  test('tells text, phrases and masks as they come', () => {
    const { told, result } = read(idsOf('It is <p> the dog </p> [SEG] on <p> grass </p> [SEG].'), []);
    assert.deepEqual([told.text, result.text], ['It is the dog on grass.', 'It is the dog on grass.']);
    assert.deepEqual(told.phrases, ['the dog', 'grass']);
    assert.deepEqual(told.segments, [0, 1]);
    assert.equal(told.inPhrases.replaceAll(' ', ''), 'thedoggrass');
  });

  test('ends before a stop string, wherever tokens cut it', () => {
    const { told, result } = read(idsOf('It is a dog. No, it is a cat.'), ['. No', 'never']);
    assert.deepEqual([told.text, result.text, told.stopped], ['It is a dog', 'It is a dog', true]);
    assert.ok(told.ids < idsOf('It is a dog. No, it is a cat.').length);
  });

  test.each([
    ['.|\n|<p>|cat|</p>|[SEG]|is', ['\n'], '.', 2],
    ['.| |\n|cat', ['\n'], '.', 3],
    ['a|[SEG]|\n|is', ['\nis'], 'a', 4],
    ['a|[SEG]|\n|it', ['\nis'], 'a it', 4],
    ['<p>|\n|cat', ['\n'], '', 2],
    ['\n|a', ['\n'], '', 1],
    ['a|.|\n|\n|cat', ['.\n\n'], 'a', 4],
  ])('sees white space that the text does not have: %j', (written, stops, expected, count) => {
    const { told, result } = read(
      written.split('|').map((piece) => spaced.idOf(piece.replace(' ', '▁')) as number),
      stops,
      spaced,
    );
    assert.deepEqual([told.text, result.text, told.ids], [expected, expected, count]);
  });

  test('of two stop strings the earlier ends it', () => {
    assert.equal(read(idsOf('one two three'), ['two three', 'wo']).result.text, 'one t');
  });

  test('holds back what may begin a stop string, and tells it when it does not', () => {
    const text = new AnswerText(tokenizer, ['dogs']);
    let told = '';
    for (const id of idsOf('a do')) {
      assert.equal(text.push(id), false);
      told += text.take().text;
    }
    assert.equal(told, 'a ');
    text.push(idsOf('a')[1] as number);
    assert.equal(text.take().text, 'doa');
    assert.equal(text.end().text, 'a doa');
  });

  test('passes over ids that the tokenizer does not have', () => {
    assert.equal(read([...idsOf('a'), 5000, ...idsOf('b')], []).result.text, 'a b');
  });

  test('tells of any ids, all in all, what they are as a whole', () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 3, max: size + 2 }), { maxLength: 60 }), (ids) => {
        const { told, result } = read(ids, []);
        assert.deepEqual(result, parseSegCapIds(tokenizer, ids));
        assert.equal(told.text, result.text);
        assert.deepEqual(
          told.segments,
          result.segments.map((_, i) => i),
        );
      }),
    ));

  test('tells of any ids and stop strings what comes before the first of these', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 3, max: size - 1 }), { maxLength: 40 }),
        fc.array(fc.stringMatching(/^[aeit ]{1,3}$/), { minLength: 1, maxLength: 3 }),
        (ids, stops) => {
          const { told, result } = read(ids, stops);
          const decoded = tokenizer.decode(ids.slice(0, told.ids));
          const heads = stops.filter((stop) => decoded.includes(stop)).map((stop) => decoded.slice(0, decoded.indexOf(stop)));
          assert.equal(told.stopped, heads.length > 0);
          // White space at the ends of an answer is no part of its text.
          const [whole, ends] = [decoded.trim(), heads.map((head) => head.trimStart().length)];
          if (heads.length === 0) assert.equal(result.text, whole);
          else assert.equal(result.text.trimEnd(), whole.slice(0, Math.min(...ends)).trimEnd());
          assert.equal(told.text, result.text);
        },
      ),
    ));

  test('tells all and no more of any ids with white space and tags, whatever ends them', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 3, max: pieces.length + 5 }), { maxLength: 30 }),
        fc.array(fc.stringMatching(/^[ \n.acit]{1,3}$/), { maxLength: 3 }),
        (ids, stops) => {
          const { told, result } = read(ids, stops, spaced);
          assert.equal(told.text, result.text);
          assert.ok(!stops.some((stop) => result.text.includes(stop)));
          assert.ok(parseSegCapIds(spaced, ids).text.startsWith(result.text));
        },
      ),
    ));
});
