/** Reads SegCap while it is generated, from ids or from pieces of text. */
import { StretchDecoder } from './detokenize';
import type { SegCap, SegCapEvent, Spacing } from './segcap';
import { SegCapReader } from './segcap_reader';
import type { Tokenizer } from './tokenizer';

/** What means something in a text, and </s>, which decoded answers end with. */
export const tagNames = ['</p>', '<p>', '[SEG]', '</s>'] as const;

const tagPattern = /<\/p>|<p>|\[SEG\]|<\/s>/g;

/** Reads the ids of an answer, one by one. Of white space beside a tag ids know nothing, so it is put as it would be written. */
export class SegCapStream {
  private readonly reader = new SegCapReader('tidy');
  private stretch = new StretchDecoder();
  /** The text since the last tag as it was decoded. */
  decoded = '';

  constructor(private readonly tokenizer: Pick<Tokenizer, 'pieceOf' | 'eos'>) {}

  /** What became certain with `id`: text, a phrase that opened or closed, a segment. @throws ArgumentError when there is no such id. */
  push(id: number): SegCapEvent[] {
    const piece = this.tokenizer.pieceOf(id);
    if (piece.kind === 'text' || piece.kind === 'byte') {
      const text = this.stretch.push(piece);
      this.decoded += text;
      this.reader.text(text);
    } else {
      this.decoded = '';
      this.reader.text(this.stretch.end());
      this.stretch = new StretchDecoder();
      this.reader.tag(id === this.tokenizer.eos ? '</s>' : piece.text);
    }
    return this.reader.take();
  }

  end(): { events: SegCapEvent[]; result: SegCap } {
    this.reader.text(this.stretch.end());
    const result = this.reader.end();
    return { events: this.reader.take(), result };
  }
}

/** Reads an answer's text in pieces cut anywhere, even inside a tag. */
export class SegCapTextStream {
  private readonly reader: SegCapReader;
  /** What may be the beginning of a tag. */
  private held = '';

  constructor({ spacing = 'written' }: { spacing?: Spacing } = {}) {
    this.reader = new SegCapReader(spacing);
  }

  push(chunk: string): SegCapEvent[] {
    const text = this.held + chunk;
    let from = 0;
    for (const { 0: tag, index } of text.matchAll(tagPattern)) {
      this.reader.text(text.slice(from, index));
      this.reader.tag(tag);
      from = index + tag.length;
    }
    const rest = text.slice(from);
    const held = heldFrom(rest);
    this.held = rest.slice(held);
    this.reader.text(rest.slice(0, held));
    return this.reader.take();
  }

  end(): { events: SegCapEvent[]; result: SegCap } {
    this.reader.text(this.held);
    this.held = '';
    const result = this.reader.end();
    return { events: this.reader.take(), result };
  }
}

/** Where the longest end of `text` begins that begins a tag. */
function heldFrom(text: string): number {
  for (let at = Math.max(0, text.length - 4); at < text.length; at++) {
    const end = text.slice(at);
    if (tagNames.some((tag) => tag.startsWith(end))) return at;
  }
  return text.length;
}
