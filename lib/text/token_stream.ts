/** Ids to text while they come. */
import { StretchDecoder } from './detokenize';
import type { Tokenizer } from './tokenizer';

/**
 * Decodes ids one by one. What `push` and `end` give, joined, is `decode` of the same ids without <s>, </s> and <unk>, which
 * stand for no text. Never gives half a character: bytes wait until they are one.
 */
export class TokenStream {
  /** Of the run of text that is being read; none right after an added token. */
  private stretch: StretchDecoder | undefined;
  private begun = false;

  constructor(private readonly tokenizer: Pick<Tokenizer, 'pieceOf'>) {}

  /** The text that is certain once `id` is known. @throws ArgumentError when the tokenizer has no such id. */
  push(id: number): string {
    const piece = this.tokenizer.pieceOf(id);
    if (piece.kind === 'control') return '';
    let text = '';
    if (piece.kind === 'added') {
      text += this.end() + this.joint() + piece.text;
    } else {
      if (!this.stretch) text += this.joint();
      this.stretch ??= new StretchDecoder();
      text += this.stretch.push(piece);
    }
    return text;
  }

  /** The rest, when no more ids come: bytes that became no character. */
  end(): string {
    const text = this.stretch?.end() ?? '';
    this.stretch = undefined;
    return text;
  }

  /** Runs of text and added tokens are joined by spaces. */
  private joint(): string {
    const space = this.begun ? ' ' : '';
    this.begun = true;
    return space;
  }
}
