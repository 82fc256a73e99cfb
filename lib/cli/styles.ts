/** Colours of text, on a terminal that has them and for people who want them: https://no-color.org */
import type { Stream } from './terminal';

export type Color = readonly [red: number, green: number, blue: number];

export interface Styles {
  /** Bold, and in `color` where there are enough of them. */
  phrase(text: string, color: Color): string;
  dim(text: string): string;
  bold(text: string): string;
}

const plain: Styles = { phrase: (text) => text, dim: (text) => text, bold: (text) => text };

export function stylesOf(stream: Stream): Styles {
  const { NO_COLOR, TERM } = process.env;
  if (!stream.isTTY || NO_COLOR || TERM === 'dumb') return plain;
  const depth = stream.getColorDepth?.() ?? 4;
  const styled = (codes: string, text: string) => (text === '' ? '' : `\x1b[${codes}m${text}\x1b[0m`);
  return {
    phrase: (text, color) => styled(depth >= 24 ? `1;38;2;${color.join(';')}` : depth >= 8 ? `1;38;5;${cubeIndex(color)}` : '1;4', text),
    dim: (text) => styled('2', text),
    bold: (text) => styled('1', text),
  };
}

/** The nearest colour of the 6 x 6 x 6 cube that terminals of 256 colours have from index 16 on. */
function cubeIndex(color: Color): number {
  const [red, green, blue] = color.map((value) => (value < 48 ? 0 : value < 115 ? 1 : Math.floor((value - 35) / 40))) as [
    number,
    number,
    number,
  ];
  return 16 + 36 * red + 6 * green + blue;
}

/** Text of a model or a file name, without what would steer the terminal. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (found) => (found === '\n' || found === '\t' ? found : ''));
