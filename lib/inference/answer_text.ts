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
    const certain = this.#cut ?? this.#certain();
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
    const before = this.#text.length;
    for (const event of events) {
      this.#queue.push(event);
      if (event.type === 'text') this.#text += event.text;
    }
    if (this.#cut !== undefined) return;
    // White space beside tags and at the end is not in the text, or is not there yet: stop strings are found as they were decoded, too.
    const { decoded } = this.#stream;
    const places = this.#stops.flatMap((stop) => {
      const [at, decodedAt] = [this.#text.indexOf(stop, Math.max(0, before - stop.length + 1)), decoded.indexOf(stop)];
      return [...(at < 0 ? [] : [at]), ...(decodedAt < 0 ? [] : [this.#placeOf(decodedAt)])];
    });
    if (places.length > 0) this.#cut = Math.min(...places);
  }

  /** Where in the text that stands which begins at `at` of what was decoded since the last tag; of white space, where that before it ends. */
  #placeOf(at: number): number {
    const rest = this.#stream.decoded.slice(at);
    let place = this.#text.length;
    for (let left = rest.replace(/\s+/g, '').length; left > 0; left -= Number(/\S/.test(this.#text[place] as string))) place--;
    return rest.trimStart() === rest ? place : this.#text.slice(0, place).trimEnd().length;
  }

  /** Length of the text before all that may begin a stop string. */
  #certain(): number {
    const { decoded } = this.#stream;
    return Math.min(this.#text.length - this.#begun(this.#text), this.#placeOf(decoded.length - this.#begun(decoded)));
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #begun(text: string): number {
    const most = Math.max(0, ...this.#stops.map(({ length }) => length - 1));
    for (let length = Math.min(most, text.length); length > 0; length--) {
      const end = text.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
