/** The text of an answer while its tokens come: phrases and masks in it, and where a string ends it that the caller named. */
import type { SegCap, SegCapEvent, Segment } from '../text/segcap';
import { SegCapStream } from '../text/segcap_stream';
import type { Tokenizer } from '../text/tokenizer';

export class AnswerText {
  readonly #stream: SegCapStream;
  readonly #stops: readonly string[];
  #text = '';
  /** Where the first of the stop strings begins. */
  #cut?: number;
  /** Events that were not taken, and where in the text the first of them begins. */
  #queue: SegCapEvent[] = [];
  #taken = 0;
  #phrases = 0;

  readonly #tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer, stops: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#stream = new SegCapStream(tokenizer);
    this.#stops = stops;
  }

  /** Whether the text ends with this token because of a stop string. */
  push(id: number): boolean {
    // A vocabulary may be padded to a round number: the ids behind the tokenizer's stand for nothing.
    if (this.#tokenizer.findPiece(id)) this.#add(this.#stream.push(id));
    return this.#cut !== undefined;
  }

  /** What became certain; of text that may begin a stop string nothing, nor of what comes after. */
  take(): { text: string; inPhrase: boolean; phrases: Extract<SegCapEvent, { type: 'phrase' }>[]; segments: Segment[] } {
    const certain = this.#cut ?? this.#text.length - this.#held();
    const taken = { text: '', inPhrase: this.#phrases > 0, phrases: [], segments: [] } as ReturnType<AnswerText['take']>;
    for (let event = this.#queue[0]; event; event = this.#queue[0]) {
      if (event.type === 'text') {
        const part = event.text.slice(0, Math.max(0, certain - this.#taken));
        if (part !== '') taken.inPhrase = this.#phrases > 0;
        taken.text += part;
        this.#taken += part.length;
        if (part.length < event.text.length) {
          this.#queue[0] = { type: 'text', text: event.text.slice(part.length) };
          break;
        }
      } else if (event.type === 'open') this.#phrases++;
      else if (event.type === 'phrase') {
        this.#phrases--;
        taken.phrases.push(event);
      } else taken.segments.push(event.segment);
      this.#queue.shift();
    }
    return taken;
  }

  /** No more tokens come. What {@link take} gives afterwards is the rest. */
  end(): SegCap {
    const { events, result } = this.#stream.end();
    this.#add(events);
    this.#cut ??= this.#text.length;
    const end = this.#cut;
    const within = ([from, to]: readonly [number, number]) => [Math.min(from, end), Math.min(to, end)] as const;
    const segments = result.segments.map((segment) => ({ ...segment, span: within(segment.span) }));
    return { ...result, text: result.text.slice(0, end), segments };
  }

  #add(events: readonly SegCapEvent[]): void {
    for (const event of events) {
      this.#queue.push(event);
      if (event.type !== 'text' || this.#cut !== undefined) continue;
      const before = this.#text.length;
      this.#text += event.text;
      for (const stop of this.#stops) {
        const at = this.#text.indexOf(stop, Math.max(0, before - stop.length + 1));
        if (at >= 0) this.#cut = Math.min(this.#cut ?? at, at);
      }
    }
  }

  /** Length of the longest end of the text that begins a stop string. */
  #held(): number {
    const most = Math.max(0, ...this.#stops.map(({ length }) => length - 1));
    for (let length = Math.min(most, this.#text.length); length > 0; length--) {
      const end = this.#text.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
