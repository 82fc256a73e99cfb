/** Reads SegCap from text and tags in the order they come, and repairs what is malformed. */
import type { Repair, RepairKind, SegCap, SegCapEvent, Segment, Spacing, Span } from './segcap';
import { gap } from './spacing';
import { phraseEnd, phraseStart, segToken } from './tokens';

/** What a reason quotes of a phrase at most: a phrase may be all of a text, and there may be thousands in one another. */
const quotedCharacters = 40;

/** Its text without that of phrases in it, until they close. Pieces are put together by +, which copies none of them. */
class OpenPhrase {
  /** Offset of its text; undefined until that begins. */
  offset: number | undefined;
  text = '';
  /** How the text begins: a character more than is quoted. */
  head = '';

  add({ text, head }: Pick<OpenPhrase, 'text' | 'head'>): void {
    this.text += text;
    this.head = headOf(this.head, head);
  }
}

const headOf = (first: string, rest: string) => first + rest.slice(0, Math.max(0, quotedCharacters + 1 - first.length));

function quoted(head: string): string {
  return JSON.stringify(head.length > quotedCharacters ? `${head.slice(0, quotedCharacters)}…` : head.trimEnd());
}

/** A phrase that was closed last; another [SEG] may still come for it. */
interface ClosedPhrase {
  readonly phrase: string;
  readonly head: string;
  readonly span: Span;
  segs: number;
  /** Whether no text has come since. */
  adjacent: boolean;
}

export class SegCapReader {
  /** Text without tags, and without white space that a later character decides about. */
  private readonly parts: string[] = [];
  private length = 0;
  private tail = '';
  private quoting = false;
  private readonly segments: Segment[] = [];
  private readonly repairs: Repair[] = [];
  private events: SegCapEvent[] = [];
  private space = '';
  /** Whether a tag stands between the text and what comes. */
  private tagged = false;
  /** Whether the text of a phrase is yet to come: white space before it belongs to the tag. */
  private opening = false;
  /** The phrases that are open, outermost first. Those whose text has not begun are the last. */
  private readonly open: OpenPhrase[] = [];
  /** How many of them have text. */
  private begun = 0;
  private closed: ClosedPhrase | undefined;

  constructor(private readonly spacing: Spacing) {}

  text(chunk: string): void {
    const rest = chunk.trimStart();
    if (!this.opening) this.space += chunk.slice(0, chunk.length - rest.length);
    if (rest === '') return;
    const core = rest.trimEnd();
    this.write(this.spacing === 'tidy' && (this.tagged || this.length === 0) ? gap(this.tail, this.quoting, core) : this.space);
    for (; this.begun < this.open.length; this.begun++) (this.open[this.begun] as OpenPhrase).offset = this.length;
    this.write(core);
    this.space = rest.slice(core.length);
    this.tagged = false;
    this.opening = false;
    if (this.closed) this.closed.adjacent = false;
  }

  /** `<p>`, `</p>`, `[SEG]`, or another token, which is left out; `</s>` is so without a word. */
  tag(name: string): void {
    if (name === phraseStart) this.openPhrase();
    else if (name === phraseEnd) this.closePhrase();
    else if (name === segToken) this.segment();
    else if (name !== '</s>') this.repair('stray_token', `${name} has no place in an answer and is left out`);
    this.tagged = true;
  }

  /** What became certain since this was asked last. */
  take(): SegCapEvent[] {
    const { events } = this;
    this.events = [];
    return events;
  }

  /** Everything; nothing can be read after it. */
  end(): SegCap {
    if (this.spacing === 'written') this.write(this.space);
    let head = '';
    const heads = this.open.map((_, at) => (head = headOf(this.open.at(-1 - at)?.head ?? '', head))).reverse();
    for (const [at, { offset }] of this.open.entries())
      this.repair('unclosed_phrase', `the phrase ${quoted(heads[at] ?? '')} has neither </p> nor [SEG] and is text`, offset);
    this.close(undefined);
    return { text: this.parts.join(''), segments: this.segments, repairs: this.repairs };
  }

  private openPhrase(): void {
    this.keepSpace();
    if (this.open.length > 0) this.repair('nested_phrase', 'a phrase begins inside another; both are kept');
    this.open.push(new OpenPhrase());
    this.opening = true;
    this.events.push({ type: 'open' });
  }

  private closePhrase(): void {
    if (this.open.length === 0) {
      this.repair('stray_close', '</p> stands where no phrase is open and is left out');
      return;
    }
    const closed = this.popPhrase();
    if (closed.phrase === '') this.repair('empty_phrase', 'nothing stands between <p> and </p>');
    this.close(closed);
  }

  private segment(): void {
    const owner = this.ownerOfSegment();
    if (owner) owner.segs++;
    if (owner?.adjacent) this.space = '';
    else this.keepSpace();
    const segment = { phrase: owner?.phrase ?? '', span: owner?.span ?? ([this.length, this.length] as const), seg: this.segments.length };
    this.segments.push(segment);
    this.events.push({ type: 'segment', segment });
  }

  private ownerOfSegment(): ClosedPhrase | undefined {
    const { closed } = this;
    if (closed?.adjacent) {
      if (closed.segs > 0) this.repair('extra_seg', `another [SEG] follows ${quoted(closed.head)}; it is one more mask of it`);
      return closed;
    }
    if (this.open.length > 0) {
      const ended = this.popPhrase();
      this.repair('unclosed_phrase', `[SEG] comes before the </p> of ${quoted(ended.head)}, which ends here`, ended.span[0]);
      this.close(ended);
      return ended;
    }
    if (closed?.segs === 0) {
      this.repair('distant_seg', `text stands between ${quoted(closed.head)} and its [SEG]`);
      return closed;
    }
    this.repair('bare_seg', '[SEG] has no phrase of its own before it');
    return undefined;
  }

  private popPhrase(): ClosedPhrase {
    const popped = this.open.pop() as OpenPhrase;
    const { text: phrase, head, offset = this.length } = popped;
    this.begun = Math.min(this.begun, this.open.length);
    this.open.at(-1)?.add(popped);
    const span: Span = [offset, this.length];
    this.space = '';
    this.opening = false;
    this.events.push({ type: 'phrase', phrase, span });
    return { phrase, head, span, segs: 0, adjacent: true };
  }

  private close(closed: ClosedPhrase | undefined): void {
    const last = this.closed;
    if (last?.segs === 0) this.repair('phrase_without_seg', `no [SEG] follows ${quoted(last.head)}, which is text`, last.span[0]);
    this.closed = closed;
  }

  /** White space outside a phrase stays as written. */
  private keepSpace(): void {
    if (this.spacing === 'written') this.write(this.space);
    this.space = '';
  }

  private write(text: string): void {
    if (text === '') return;
    this.parts.push(text);
    this.open[this.begun - 1]?.add({ text, head: text });
    this.length += text.length;
    this.tail = (this.tail + text.slice(-2)).slice(-2);
    if ((text.split('"').length - 1) % 2 === 1) this.quoting = !this.quoting;
    this.events.push({ type: 'text', text });
  }

  private repair(kind: RepairKind, reason: string, at = this.length): void {
    this.repairs.push({ kind, at, reason });
  }
}
