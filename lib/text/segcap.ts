/**
 * The unified SegCap format (USCDF): text in which every mask is announced by its phrase, `<p> phrase </p> [SEG]`. MGLMM,
 * arXiv 2409.13407. Building it, and reading it, however malformed a model's answer is.
 */
import { ArgumentError } from '../errors';
import { SegCapStream, SegCapTextStream, tagNames } from './segcap_stream';
import type { Tokenizer } from './tokenizer';
import { phraseEnd, phraseStart, segToken } from './tokens';

/** From and to, in UTF-16 units of the plain text. */
export type Span = readonly [start: number, end: number];

/** One mask: there are as many as `[SEG]`, in their order. */
export interface Segment {
  /** Empty when no phrase belongs to this `[SEG]`. */
  readonly phrase: string;
  /** Of the phrase in the plain text. */
  readonly span: Span;
  /** Which `[SEG]` of the text it is, from 0. */
  readonly seg: number;
}

/**
 * - `bare_seg`: no phrase before a `[SEG]`; its segment has an empty one. LISA's answers are all so.
 * - `distant_seg`: text between a phrase and its `[SEG]`.
 * - `extra_seg`: one more `[SEG]` behind the same phrase; each is a mask with that phrase.
 * - `phrase_without_seg`: no `[SEG]` for a phrase; it is text.
 * - `unclosed_phrase`: no `</p>`; the phrase ends at `[SEG]`, and without that it is text.
 * - `stray_close`: `</p>` where no phrase is open; left out.
 * - `nested_phrase`: a phrase inside a phrase; both are kept.
 * - `empty_phrase`: nothing between `<p>` and `</p>`.
 * - `stray_token`: another token in the text; left out.
 */
export type RepairKind =
  | 'bare_seg'
  | 'distant_seg'
  | 'extra_seg'
  | 'phrase_without_seg'
  | 'unclosed_phrase'
  | 'stray_close'
  | 'nested_phrase'
  | 'empty_phrase'
  | 'stray_token';

/** Where a text is not of the format, and what was made of it. */
export interface Repair {
  readonly kind: RepairKind;
  /** Offset in the plain text. */
  readonly at: number;
  readonly reason: string;
}

export interface SegCap {
  /** Without tags. */
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly repairs: readonly Repair[];
}

/** What reading gives on the way. Texts joined are the plain text; after `open` they belong to a phrase, until `phrase`. */
export type SegCapEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'open' }
  | { readonly type: 'phrase'; readonly phrase: string; readonly span: Span }
  | { readonly type: 'segment'; readonly segment: Segment };

/** `written`: white space outside phrases as it is. `tidy`: around tags as it would be written, for text that comes of ids. */
export type Spacing = 'written' | 'tidy';

/**
 * `text` with each of `spans` as `<p> phrase </p> [SEG]`.
 * @param spans - In order, apart; none is empty, or begins or ends with white space.
 * @throws ArgumentError when a span is not so, or `text` has a tag in it.
 */
export function buildSegCap(text: string, spans: readonly Span[]): string {
  if (typeof text !== 'string') throw new ArgumentError(`buildSegCap: text is ${typeof text}, expected a string`);
  const tag = tagNames.find((name) => text.includes(name));
  if (tag !== undefined) throw new ArgumentError(`buildSegCap: text has ${tag} in it, expected plain text`);
  let built = '';
  let done = 0;
  spans.forEach(([start, end], index) => {
    const phrase = text.slice(start, end);
    if (!(Number.isInteger(start) && Number.isInteger(end) && start >= done && end > start && end <= text.length))
      throw new ArgumentError(
        `buildSegCap: spans[${index}] is [${start}, ${end}], expected a part of the text from ${done} to ${text.length}`,
      );
    if (phrase.trim() !== phrase)
      throw new ArgumentError(`buildSegCap: spans[${index}] is ${JSON.stringify(phrase)}, expected no white space at its ends`);
    built += `${text.slice(done, start)}${phraseStart} ${phrase} ${phraseEnd} ${segToken}`;
    done = end;
  });
  return built + text.slice(done);
}

/** Reads text in the format, whatever it is. `</s>` in it is left out. @throws ArgumentError when `text` is no string. */
export function parseSegCap(text: string, options: { spacing?: Spacing } = {}): SegCap {
  if (typeof text !== 'string') throw new ArgumentError(`parseSegCap: text is ${typeof text}, expected a string`);
  const stream = new SegCapTextStream(options);
  stream.push(text);
  return stream.end().result;
}

/** Reads the ids of an answer. Spacing is `tidy`. @throws ArgumentError when the tokenizer has no such id. */
export function parseSegCapIds(tokenizer: Pick<Tokenizer, 'pieceOf' | 'eos'>, ids: readonly number[]): SegCap {
  const stream = new SegCapStream(tokenizer);
  for (const id of ids) stream.push(id);
  return stream.end().result;
}
