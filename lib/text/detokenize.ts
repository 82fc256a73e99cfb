/**
 * Pieces to text, as the slow LlamaTokenizer of transformers 4.28 does it: added tokens and the runs between them are joined by
 * single spaces; inside a run, a group of control tokens stands verbatim, with a space before the stretch of text that it ends.
 */
import type { Piece } from './vocabulary';

/** What `bytes` begin with: a whole character of so many bytes, one that is not whole yet (0), or none (-1). */
function wholeCharacter(bytes: readonly number[]): number {
  const first = bytes[0] as number;
  const length = first < 0x80 ? 1 : first < 0xc2 ? -1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : -1;
  if (length < 2) return length;
  // No longer form than needed, no surrogates, nothing above U+10FFFF: Unicode 15, table 3-7.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let at = 1; at < Math.min(length, bytes.length); at++) {
    const byte = bytes[at] as number;
    if (byte < (at === 1 ? low : 0x80) || byte > (at === 1 ? high : 0xbf)) return -1;
  }
  return bytes.length < length ? 0 : length;
}

/** Decodes a stretch of `text` and `byte` pieces piece by piece; never gives half a character. */
export class StretchDecoder {
  private begun = false;
  private bytes: number[] = [];

  /** The text that is certain once `piece` is known: the space before the stretch is dropped. */
  push(piece: Piece): string {
    const first = !this.begun;
    this.begun = true;
    if (piece.kind === 'byte') {
      this.bytes.push(piece.byte);
      return this.characters();
    }
    return this.end() + (first && piece.text.startsWith(' ') ? piece.text.slice(1) : piece.text);
  }

  /** The bytes that became no character, each as U+FFFD, as sentencepiece writes them. */
  end(): string {
    let text = '';
    while (this.bytes.length > 0) {
      this.bytes.shift();
      text += `\uFFFD${this.characters()}`;
    }
    return text;
  }

  private characters(): string {
    let text = '';
    while (this.bytes.length > 0) {
      const length = wholeCharacter(this.bytes);
      if (length === 0) break;
      text += length < 0 ? '\uFFFD' : Buffer.from(this.bytes.slice(0, length)).toString('utf8');
      this.bytes.splice(0, Math.max(1, length));
    }
    return text;
  }
}

/** The text between two added tokens. */
class Run {
  private text = '';
  private stretch = '';
  private decoder = new StretchDecoder();
  private length = 0;
  private afterControl = false;

  push(piece: Piece): void {
    if (piece.kind === 'control') {
      const space = this.length > 0 && !this.afterControl ? ' ' : '';
      this.text += space + this.stretch + this.decoder.end() + piece.text;
      this.stretch = '';
      this.decoder = new StretchDecoder();
    } else {
      this.stretch += this.decoder.push(piece);
    }
    this.afterControl = piece.kind === 'control';
    this.length++;
  }

  end(): string {
    return this.text + this.stretch + this.decoder.end();
  }
}

/** The text of `pieces`, tokens included. */
export function detokenize(pieces: Iterable<Piece>): string {
  const texts: string[] = [];
  let run: Run | undefined;
  for (const piece of pieces) {
    if (piece.kind === 'added') {
      if (run) texts.push(run.end());
      run = undefined;
      texts.push(piece.text);
    } else {
      run ??= new Run();
      run.push(piece);
    }
  }
  if (run) texts.push(run.end());
  return texts.join(' ');
}
