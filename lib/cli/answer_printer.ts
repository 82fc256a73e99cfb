/** Answers on a terminal: text while it comes, phrases in the colours of their masks. */
import { maskColor } from '../image/colors';
import type { Answer, AnswerEvent, GroundedPhrase } from '../inference/answer';
import { type Color, printable, type Styles, stylesOf } from './styles';
import type { Stream, Terminal } from './terminal';

/** The text of one answer, and which color each of its masks has. */
export class AnswerPrinter {
  readonly #out: Stream;
  readonly #styles: Styles;
  /** Where phrases begin in the text; those that get no mask have a color too, as that is known only later. */
  readonly #phrases: number[] = [];
  #inPhrase = false;
  #length = 0;

  constructor(out: Stream) {
    this.#out = out;
    this.#styles = stylesOf(out);
  }

  /** Whether something was printed that no line feed has ended. */
  get isOpen(): boolean {
    return this.#length > 0;
  }

  show(event: AnswerEvent): void {
    if (event.type === 'phrase') this.#inPhrase = false;
    if (event.type !== 'token' || event.text === '') return;
    this.text(event.text, event.inPhrase);
  }

  text(text: string, inPhrase: boolean): void {
    if (inPhrase && !this.#inPhrase) this.#phrases.push(this.#length);
    this.#inPhrase = inPhrase;
    this.#length += text.length;
    const shown = this.#out.isTTY ? printable(text) : text;
    this.#out.write(inPhrase ? this.#styles.phrase(shown, maskColor(this.#phrases.length - 1)) : shown);
  }

  /** The color of a mask: that in which its phrase is printed. */
  colorOf({ phrase, span }: GroundedPhrase, index: number): Color {
    const at =
      phrase === ''
        ? -1
        : this.#phrases.findIndex((start, i) => span[0] >= start && span[0] < (this.#phrases[i + 1] ?? Number.POSITIVE_INFINITY));
    return maskColor(at < 0 ? this.#phrases.length + index : at);
  }

  end(): void {
    if (this.isOpen) this.#out.write('\n');
  }
}

/** Of a whole answer, at once. */
export function printAnswer(answer: Answer, out: Stream): AnswerPrinter {
  const printer = new AnswerPrinter(out);
  let at = 0;
  for (const { phrase, span } of answer.segments) {
    if (phrase === '' || span[0] < at) continue;
    printer.text(answer.text.slice(at, span[0]), false);
    printer.text(phrase, true);
    at = span[1];
  }
  printer.text(answer.text.slice(at), false);
  printer.end();
  return printer;
}

/** What is to know about an answer besides its text, on the error stream. */
export function printFigures(
  { err }: Terminal,
  { segments, usage, timings, finish, repairs }: Answer,
  colorOf: AnswerPrinter['colorOf'] | undefined,
  note: string,
): void {
  const { phrase: paint, dim } = stylesOf(err);
  const names = segments.map(({ phrase }) => printable(phrase).replaceAll('\n', ' ') || '(no phrase)');
  const width = Math.min(40, Math.max(0, ...names.map(({ length }) => length)));
  for (const [index, segment] of segments.entries()) {
    const { box, score, mask } = segment;
    const name = (names[index] as string).padEnd(width);
    const place = mask.area === 0 ? 'empty' : `${box[2]} x ${box[3]} at ${box[0]}, ${box[1]}`;
    err.write(`  ${colorOf ? paint(name, colorOf(segment, index)) : name}  ${score.toFixed(2)}  ${place}\n`);
  }
  const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const speed = timings.tokensPerSecond > 0 ? `, then ${timings.tokensPerSecond.toFixed(1)} a second` : '';
  const masks = `${usage.masks} ${usage.masks === 1 ? 'mask' : 'masks'}`;
  err.write(
    dim(
      `${masks}, ${usage.newTokens} tokens in ${seconds(timings.totalMs)}, the first after ${seconds(timings.firstTokenMs)}${speed}${note}`,
    ),
  );
  err.write('\n');
  if (finish === 'length') err.write(dim(`the answer was cut off after ${usage.newTokens} tokens: --max-new-tokens allows more\n`));
  for (const { kind, reason } of repairs.slice(0, 3)) err.write(dim(`repaired: ${kind}, ${printable(reason)}\n`));
  if (repairs.length > 3) err.write(dim(`repaired: ${repairs.length - 3} things more\n`));
}
