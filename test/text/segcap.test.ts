import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ArgumentError } from '../../lib/errors';
import { buildSegCap, parseSegCap, parseSegCapIds, type SegCapEvent, type Span } from '../../lib/text/segcap';
import { SegCapStream, SegCapTextStream } from '../../lib/text/segcap_stream';
import type { Tokenizer } from '../../lib/text/tokenizer';
import { mglmmTokenizer } from '../support/tokenizer_golden';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await mglmmTokenizer();
});

/** Text, phrases with their masks, kinds of repairs: as short as can be. */
function read(text: string, spacing: 'written' | 'tidy' = 'tidy') {
  const { text: plain, segments, repairs } = parseSegCap(text, { spacing });
  segments.forEach(({ phrase, span, seg }, index) => {
    expect(plain.slice(...span)).toBe(phrase);
    expect(seg).toBe(index);
  });
  return [plain, segments.map(({ phrase }) => phrase), repairs.map(({ kind }) => kind)];
}

describe('building', () => {
  test('announces each mask by its phrase', () => {
    const text = 'Sure, a cat and two dogs.';
    expect(
      buildSegCap(text, [
        [6, 11],
        [16, 24],
      ]),
    ).toBe('Sure, <p> a cat </p> [SEG] and <p> two dogs </p> [SEG].');
  });

  const refused: [name: string, text: string, spans: Span[], message: string][] = [
    ['a tag', 'a <p> b', [], 'text has <p> in it, expected plain text'],
    ['an empty phrase', 'a b', [[1, 1]], 'spans[0] is [1, 1], expected a part of the text from 0 to 3'],
    ['a phrase outside', 'a b', [[0, 4]], 'spans[0] is [0, 4], expected a part of the text from 0 to 3'],
    [
      'phrases that overlap',
      'abc',
      [
        [0, 2],
        [1, 3],
      ],
      'spans[1] is [1, 3], expected a part of the text from 2 to 3',
    ],
    ['a phrase with white space', 'a b', [[0, 2]], 'spans[0] is "a ", expected no white space at its ends'],
  ];
  test.each(refused)('refuses %s', (_, text, spans, message) =>
    expect(() => buildSegCap(text, spans)).toThrow(new ArgumentError(`buildSegCap: ${message}`)),
  );
});

describe('reading', () => {
  const cases: [text: string, plain: string, phrases: string[], repairs?: string[]][] = [
    ['', '', []],
    ['No mask here.', 'No mask here.', []],
    ['Sure, <p> tree </p> [SEG]. But no bus.', 'Sure, tree. But no bus.', ['tree']],
    ['<p>a cat</p>[SEG]and<p>a dog</p>[SEG].', 'a cat and a dog.', ['a cat', 'a dog']],
    ['<p> a cat </p> [SEG] . </s>', 'a cat.', ['a cat']],
    ['<p> Label </p> [SEG]: a caption', 'Label: a caption', ['Label']],
    ['( <p> a </p> [SEG] )', '(a)', ['a']],
    ['He said " <p> yes </p> [SEG] " and " <p> no </p> [SEG] "', 'He said "yes" and "no"', ['yes', 'no']],
    ["<p> the dog </p> [SEG] 's tail", "the dog's tail", ['the dog']],
    ['这是 <p> 狗 </p> [SEG] 和 <p> 猫 </p> [SEG] 。', '这是狗和猫。', ['狗', '猫']],
    ['red- <p> dog </p> [SEG]', 'red-dog', ['dog']],
    ['one\n<p> dog </p> [SEG]\ntwo', 'one dog two', ['dog']],
    ['Sure, [SEG].', 'Sure,.', [''], ['bare_seg']],
    ['[SEG] [SEG]', '', ['', ''], ['bare_seg', 'bare_seg']],
    ['<p> dogs </p> [SEG] [SEG] run', 'dogs run', ['dogs', 'dogs'], ['extra_seg']],
    ['<p> dog </p> runs [SEG] fast', 'dog runs fast', ['dog'], ['distant_seg']],
    ['<p> dog </p> [SEG] runs [SEG]', 'dog runs', ['dog', ''], ['bare_seg']],
    ['<p> a </p> and <p> b </p> [SEG]', 'a and b', ['b'], ['phrase_without_seg']],
    ['<p> a </p>', 'a', [], ['phrase_without_seg']],
    ['a <p> cat [SEG] and <p> dog </p> [SEG]', 'a cat and dog', ['cat', 'dog'], ['unclosed_phrase']],
    ['a <p> cat', 'a cat', [], ['unclosed_phrase']],
    ['<p> [SEG]', '', [''], ['unclosed_phrase']],
    ['<p> a </p> </p> [SEG] b </p> c', 'a b c', ['a'], ['stray_close', 'stray_close']],
    ['<p> man in <p> a hat </p> [SEG] </p> [SEG] .', 'man in a hat.', ['a hat', 'man in a hat'], ['nested_phrase']],
    ['<p> a <p> b </p> [SEG] c', 'a b c', ['b'], ['nested_phrase', 'unclosed_phrase']],
    ['x <p> </p> [SEG] y', 'x y', [''], ['empty_phrase']],
  ];
  test.each(cases)('%j', (text, plain, phrases, repairs = []) => {
    expect(read(text)).toEqual([plain, phrases, repairs]);
    const ids = tokenizer.encode(text, { special: true });
    const { text: ofIds, segments, repairs: repaired } = parseSegCapIds(tokenizer, ids);
    expect([ofIds, segments.map(({ phrase }) => phrase), repaired.map(({ kind }) => kind)]).toEqual([plain, phrases, repairs]);
  });

  test('leaves white space outside phrases as it is written', () => {
    expect(read(' a  <p>  b </p>  [SEG]  c ', 'written')).toEqual([' a  b  c ', ['b'], []]);
    expect(read('it is [SEG].', 'written')).toEqual(['it is .', [''], ['bare_seg']]);
    expect(read('<p> a </p> b', 'written')).toEqual(['a b', [], ['phrase_without_seg']]);
  });

  test('leaves out other tokens, and says so', () => {
    const ids = tokenizer.encode('a <bbox> b <unk> c </s>', { special: true });
    const { text, repairs } = parseSegCapIds(tokenizer, ids);
    expect(text).toBe('a b c');
    expect(repairs).toEqual([
      { kind: 'stray_token', at: 1, reason: '<bbox> has no place in an answer and is left out' },
      { kind: 'stray_token', at: 3, reason: '<unk> has no place in an answer and is left out' },
    ]);
  });

  test('refuses what is no text', () => {
    expect(() => parseSegCap(5 as unknown as string)).toThrow(new ArgumentError('parseSegCap: text is number, expected a string'));
    expect(() => buildSegCap(5 as unknown as string, [])).toThrow(new ArgumentError('buildSegCap: text is number, expected a string'));
  });

  test('gives a reason for each repair', () => {
    const text = 'x <p> a <p> </p> </p> y <p> b [SEG] [SEG] z [SEG] <p> c </p> d </p> [SEG] <p> e';
    expect(parseSegCap(text, { spacing: 'tidy' }).repairs).toEqual([
      { kind: 'nested_phrase', at: 3, reason: 'a phrase begins inside another; both are kept' },
      { kind: 'empty_phrase', at: 3, reason: 'nothing stands between <p> and </p>' },
      { kind: 'phrase_without_seg', at: 3, reason: 'no [SEG] follows "", which is text' },
      { kind: 'unclosed_phrase', at: 6, reason: '[SEG] comes before the </p> of "b", which ends here' },
      { kind: 'phrase_without_seg', at: 2, reason: 'no [SEG] follows "a", which is text' },
      { kind: 'extra_seg', at: 7, reason: 'another [SEG] follows "b"; it is one more mask of it' },
      { kind: 'bare_seg', at: 9, reason: '[SEG] has no phrase of its own before it' },
      { kind: 'stray_close', at: 13, reason: '</p> stands where no phrase is open and is left out' },
      { kind: 'distant_seg', at: 13, reason: 'text stands between "c" and its [SEG]' },
      { kind: 'unclosed_phrase', at: 14, reason: 'the phrase "e" has neither </p> nor [SEG] and is text' },
    ]);
  });
});

/** Text with phrases in it, none of it having a tag. */
const written = (unit: fc.Arbitrary<string>) =>
  fc.array(fc.tuple(fc.array(unit, { maxLength: 4 }), fc.array(unit, { minLength: 1, maxLength: 3 })), { maxLength: 4 }).map((parts) => {
    let text = '';
    const spans: Span[] = [];
    for (const [before, phrase] of parts) {
      text += before.join('');
      if (phrase.join('').trim() !== '') {
        const start = text.length;
        text += phrase.join('').trim();
        spans.push([start, text.length]);
      }
    }
    return { text, spans };
  });

describe('reading what was built', () => {
  const segmentsOf = (text: string, spans: readonly Span[]) => spans.map((span, seg) => ({ phrase: text.slice(...span), span, seg }));

  test('gives it back, whatever it is', () => {
    const unit = fc.constantFrom(' ', '\n', 'a', 'dog', '<', 'p>', '/p>', '[', 'SEG', ']', '.', '猫', '😀', '\ud83d', '"');
    fc.assert(
      fc.property(written(unit), ({ text, spans }) => {
        fc.pre(!/<\/?p>|\[SEG\]/.test(text));
        const built = buildSegCap(text, spans);
        fc.pre((built.match(/<\/?p>|\[SEG\]/g) ?? []).length === 3 * spans.length);
        expect(parseSegCap(built)).toEqual({ text, segments: segmentsOf(text, spans), repairs: [] });
      }),
      { numRuns: 2000 },
    );
  });

  test('gives it back from ids too, where it is written as people write', () => {
    const word = fc.constantFrom('dog', 'a cat', 'two', 'Straße', 'x.');
    const sentence = fc
      .array(fc.tuple(word, fc.boolean(), fc.constantFrom(' ', ', ', '; ')), { minLength: 1, maxLength: 6 })
      .map((parts) => {
        let text = '';
        const spans: Span[] = [];
        for (const [one, isPhrase, behind] of parts) {
          if (isPhrase) spans.push([text.length, text.length + one.length]);
          text += one + behind;
        }
        return { text: `${text}end.`, spans };
      });
    fc.assert(
      fc.property(sentence, ({ text, spans }) => {
        const ids = tokenizer.encode(buildSegCap(text, spans), { special: true });
        expect(parseSegCapIds(tokenizer, ids)).toEqual({ text, segments: segmentsOf(text, spans), repairs: [] });
      }),
    );
  });
});

describe('streams', () => {
  const soup = fc.array(fc.constantFrom('<p>', '</p>', '[SEG]', '</s>', ' ', 'a', 'dog', '.', '"', '(', '猫', '<', 'p', '[SE'), {
    maxLength: 25,
  });
  const texts = (events: readonly SegCapEvent[]) => events.map((event) => (event.type === 'text' ? event.text : '')).join('');
  const segments = (events: readonly SegCapEvent[]) => events.flatMap((event) => (event.type === 'segment' ? [event.segment] : []));

  test('of text cut anywhere give what the whole gives', () =>
    fc.assert(
      fc.property(
        soup,
        fc.constantFrom('written' as const, 'tidy' as const),
        fc.array(fc.integer({ min: 1, max: 5 })),
        (parts, spacing, cuts) => {
          const text = parts.join('');
          const stream = new SegCapTextStream({ spacing });
          const events: SegCapEvent[] = [];
          let from = 0;
          for (const length of cuts) {
            events.push(...stream.push(text.slice(from, from + length)));
            from += length;
          }
          events.push(...stream.push(text.slice(from)));
          const end = stream.end();
          expect(end.result).toEqual(parseSegCap(text, { spacing }));
          expect(texts([...events, ...end.events])).toBe(end.result.text);
          expect(segments([...events, ...end.events])).toEqual(end.result.segments);
        },
      ),
      { numRuns: 1000 },
    ));

  test('of ids are whole, and have as many segments as [SEG]', () => {
    const any = fc.array(fc.oneof(fc.integer({ min: 0, max: 32_006 }), fc.integer({ min: 32_004, max: 32_006 })), { maxLength: 30 });
    fc.assert(
      fc.property(any, (ids) => {
        const stream = new SegCapStream(tokenizer);
        const events = ids.flatMap((id) => stream.push(id));
        const { events: last, result } = stream.end();
        expect(result).toEqual(parseSegCapIds(tokenizer, ids));
        expect(texts([...events, ...last])).toBe(result.text);
        expect(segments([...events, ...last])).toEqual(result.segments);
        expect(result.segments).toHaveLength(ids.filter((id) => id === tokenizer.idOf('[SEG]')).length);
        for (const { phrase, span } of result.segments) expect(result.text.slice(...span)).toBe(phrase);
      }),
      { numRuns: 1000 },
    );
  });

  test('tell of a phrase and of its mask as soon as they are there', () => {
    const stream = new SegCapStream(tokenizer);
    const ids = tokenizer.encode('It is <p> dog </p> [SEG].', { special: true });
    expect(ids.map((id) => stream.push(id))).toEqual([
      [{ type: 'text', text: 'It' }],
      [
        { type: 'text', text: ' ' },
        { type: 'text', text: 'is' },
      ],
      [{ type: 'open' }],
      [
        { type: 'text', text: ' ' },
        { type: 'text', text: 'dog' },
      ],
      [{ type: 'phrase', phrase: 'dog', span: [6, 9] }],
      [{ type: 'segment', segment: { phrase: 'dog', span: [6, 9], seg: 0 } }],
      [{ type: 'text', text: '.' }],
    ]);
  });

  test('of phrases in one another, open or closed, quote little of each', () => {
    const [count, open] = [100_000, '<p>abcd '];
    const behind = ['', '</p>'.repeat(count), '[SEG]'.repeat(count), ' x</p>'.repeat(count)];
    for (const end of behind) {
      const { text, repairs } = parseSegCap(open.repeat(count) + end);
      expect(text.startsWith('abcd abcd ')).toBe(true);
      expect(repairs.length).toBeGreaterThan(count);
      expect(Math.max(...repairs.slice(0, 1000).map(({ reason }) => reason.length))).toBeLessThan(110);
      expect(repairs.reduce((sum, { reason }) => sum + reason.length, 0)).toBeLessThan(2 * count * 110);
    }
    const { repairs } = parseSegCap(`${open.repeat(9)}<p><p>e`);
    expect(repairs.filter(({ kind }) => kind === 'unclosed_phrase').map(({ reason }) => reason.split('"')[1])).toEqual([
      ...[9, 8].map(() => 'abcd abcd abcd abcd abcd abcd abcd abcd …'),
      ...[7, 6, 5, 4, 3, 2, 1].map((times) => `${'abcd '.repeat(times)}e`),
      'e',
      'e',
    ]);
  });

  test('read a long text in time that grows with its length', () => {
    const text = '<p> a "dog" </p> [SEG], '.repeat(20_000);
    const begin = process.cpuUsage();
    expect(parseSegCap(text, { spacing: 'tidy' }).segments).toHaveLength(20_000);
    expect(process.cpuUsage(begin).user / 1e6).toBeLessThan(5);
  });
});
