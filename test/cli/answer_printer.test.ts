import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { type Answer, type AnswerEvent, type GroundedPhrase, Mask, rleFromRuns } from '../../lib';
import { AnswerPrinter, printAnswer, printFigures } from '../../lib/cli/answer_printer';
import { printable, stylesOf } from '../../lib/cli/styles';
import { maskColor } from '../../lib/image/colors';

const mask = new Mask(rleFromRuns([0, 12], [3, 4]), 0.5);
const segment = (phrase: string, start: number): GroundedPhrase => ({
  phrase,
  span: [start, start + phrase.length],
  mask,
  box: mask.box,
  score: 0.5,
});
const token = (text: string, inPhrase: boolean): AnswerEvent => ({ type: 'token', id: 5, text, inPhrase });
const phrase = (text: string, start: number): AnswerEvent => ({ type: 'phrase', phrase: text, span: [start, start + text.length] });
/** "A cat\u001b[2J and a dog", of which the cat gets no mask. */
const events = [
  token('A', false),
  token(' c', true),
  token('at\u001b[2J', true),
  phrase('cat\u001b[2J', 2),
  token(' and a', false),
  token(' dog', true),
];
const dog = segment('dog', 16);

function terminal(colors?: number) {
  const written = { text: '' };
  const write = (text: string) => {
    written.text += text;
  };
  return { written, stream: colors === undefined ? { write } : { write, isTTY: true, getColorDepth: () => colors } };
}

const color = (index: number) => maskColor(index).join(';');

describe('the printer of answers', () => {
  test('paints a phrase as its mask is painted, and lets no text steer the terminal', () => {
    const { written, stream } = terminal(24);
    const printer = new AnswerPrinter(stream);
    for (const event of events) printer.show(event);
    printer.end();
    assert.equal(
      written.text,
      `A\x1b[1;38;2;${color(0)}m c\x1b[0m\x1b[1;38;2;${color(0)}mat[2J\x1b[0m and a\x1b[1;38;2;${color(1)}m dog\x1b[0m\n`,
    );
    assert.deepEqual(printer.colorOf(dog, 0), maskColor(1));
    assert.deepEqual(printer.colorOf(segment('', 0), 1), maskColor(3), 'a mask without a phrase has a color of its own');
  });

  test('makes do with what a terminal has, and writes text as it is elsewhere', () => {
    const shown = (colors?: number) => {
      const { written, stream } = terminal(colors);
      const printer = new AnswerPrinter(stream);
      printer.show(token('dog', true));
      return written.text;
    };
    assert.equal(shown(8), '\x1b[1;38;5;33mdog\x1b[0m');
    assert.equal(shown(4), '\x1b[1;4mdog\x1b[0m');
    assert.equal(shown(), 'dog');
    const { written, stream } = terminal();
    const printer = new AnswerPrinter(stream);
    for (const event of events) printer.show(event);
    assert.equal(written.text, 'A cat\u001b[2J and a dog');
    process.env.NO_COLOR = '1';
    try {
      assert.equal(shown(24), 'dog');
    } finally {
      delete process.env.NO_COLOR;
    }
  });

  test('prints a whole answer as it would have streamed', () => {
    const { written, stream } = terminal(24);
    const answer = { text: 'A cat and a dog.', segments: [segment('cat', 2), segment('cat', 2), segment('dog', 12)] } as unknown as Answer;
    const printer = printAnswer(answer, stream);
    assert.equal(written.text, `A \x1b[1;38;2;${color(0)}mcat\x1b[0m and a \x1b[1;38;2;${color(1)}mdog\x1b[0m.\n`);
    assert.deepEqual(
      answer.segments.map((one, i) => printer.colorOf(one, i).join()),
      [0, 0, 1].map((index) => maskColor(index).join()),
    );
  });

  test('tells figures on the error stream', () => {
    const [out, err] = [terminal(), terminal()];
    const usage = { promptTokens: 9, cachedTokens: 0, newTokens: 7, masks: 2 };
    const timings = { imageMs: 1, firstTokenMs: 250, tokensMs: 1000, totalMs: 12_345, tokensPerSecond: 6, cached: { prefix: false } };
    const repairs = [{ kind: 'bare_seg', at: 0, reason: 'why' } as const];
    const answer: Answer = { text: '', segments: [dog, segment('', 0)], usage, timings, finish: 'length', repairs, ids: [] };
    printFigures({ out: out.stream, err: err.stream }, answer, undefined, '; written to here');
    assert.equal(out.written.text, '');
    assert.equal(
      err.written.text,
      `  dog${' '.repeat(8)}  0.50  4 x 3 at 0, 0
  (no phrase)  0.50  4 x 3 at 0, 0
2 masks, 7 tokens in 12.3 s, the first after 0.25 s, then 6.0 a second; written to here
the answer was cut off after 7 tokens: --max-new-tokens allows more
repaired: bare_seg, why
`,
    );
  });
});

describe('styles', () => {
  test('are none where nobody sees them', () => {
    assert.equal(stylesOf({ write: () => {} }).bold('a'), 'a');
    assert.equal(printable('a\u202eb\u0007\n\tc'), 'ab\n\tc');
  });
});
