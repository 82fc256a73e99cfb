/** The text of an answer while its tokens come, and where a named string ends it. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { AnswerText } from '../../lib/inference/answer_text';
import { parseSegCapIds } from '../../lib/text/segcap';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { createTokenizer } from '../../lib/text/tokenizer';
import { tinyTokenizer } from '../support/tiny_model';

const size = 70;
const added = new Map(['[SEG]', '<p>', '</p>'].map((token, i) => [token, size + i]));
const tokenizer = createTokenizer(new SentencePiece(tinyTokenizer(size)), { added });
const idsOf = (text: string) => tokenizer.encode(text, { special: true });

/** What is told of `ids`, token by token, until a stop string ends them. */
function read(ids: readonly number[], stops: readonly string[]) {
  const text = new AnswerText(tokenizer, stops);
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
          const { text: whole } = parseSegCapIds(tokenizer, ids.slice(0, told.ids));
          const found = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
          assert.equal(told.stopped, found.length > 0);
          assert.equal(result.text, found.length > 0 ? whole.slice(0, Math.min(...found)) : whole);
          assert.equal(told.text, result.text);
        },
      ),
    ));
});
