/**
 * A conversation as the text or the ids of a prompt. Two doors: `promptIds` for what users say, whose text can forge neither a
 * token nor a turn; `promptText` and `promptTextIds` for texts that are trusted, exactly as the published training code makes them.
 */
import { ArgumentError, LengthError } from '../errors';
import { type PromptStyle, type Template, type TemplateName, templates } from './template';
import type { TextPart, Tokenizer } from './tokenizer';
import { imageEnd, imageId, imagePlaceholder, imageStart, phraseEnd, phraseStart, segToken } from './tokens';

/** Longest conversation that is made a prompt, in UTF-16 units: several times what the models' contexts hold. */
export const maxPromptLength = 1 << 15;

/** A question and its answer. An answer is text, or the ids that were generated, with or without the last </s>. */
export interface Turn {
  readonly question: string;
  /** Left out in the last turn, which is the one to be answered. */
  readonly answer?: string | readonly number[];
}

export interface PromptOptions extends PromptStyle {
  /** Instead of the template's. */
  readonly system?: string;
  /** Put <im_start> and <im_end> around the image; default when the tokenizer has them (`mm_use_im_start_end` in config.json). */
  readonly wrapImage?: boolean;
  /** Whether there is an image, before the first question; default true. */
  readonly image?: boolean;
}

/**
 * The ids of a conversation, with `imageId` once where the image's features come. When the last turn has no answer the ids end
 * where it begins. Answers given as ids stand as they are, so that a follow-up's ids begin with all that was before it.
 *
 * User text is taken letter by letter: `[SEG]`, `</s>` or `<image>` in it are no tokens, and words that mark a turn, such as
 * `ASSISTANT:`, get a space before their last character, for they are text in the template too. Of an answer's text, `<p>`, `</p>` and
 * `[SEG]` are tokens, nothing else.
 * @throws LengthError above `maxPromptLength`, ArgumentError when a turn is not of this form.
 */
export function promptIds(tokenizer: Tokenizer, turns: readonly Turn[], options: PromptOptions): number[] {
  const template = templateOf(options.template);
  check(tokenizer, turns, options);
  const wrap = options.wrapImage ?? (tokenizer.idOf(imageStart) !== undefined && tokenizer.idOf(imageEnd) !== undefined);
  const rendered = turns.map(({ question, answer }, at) => ({
    question: [...(at === 0 && options.image !== false ? imageParts(tokenizer, options.imagePrefix, wrap) : []), plain(question, template)],
    answer: answer === undefined ? undefined : answerParts(tokenizer, answer, template),
  }));
  return tokenizer.encodeParts(renderTurns(template, options.system ?? template.system, rendered), { bos: true });
}

/** Like `promptIds`, of text that is trusted: a turn without answer, or with an empty one, ends at the marker, as in conversation.py. */
export function promptText(
  turns: readonly (readonly [question: string, answer?: string | null])[],
  { template, system, wrapImage = true }: { template: TemplateName; system?: string; wrapImage?: boolean },
): string {
  const rendered = turns.map(([question, answer]) => ({ question: texts(question), answer: answer ? texts(answer) : undefined }));
  const parts = renderTurns(templateOf(template), system ?? templates[template].system, rendered);
  const text = parts.map((part) => ('text' in part ? part.text : '')).join('');
  return wrapImage ? text.replaceAll(imagePlaceholder, imageStart + imagePlaceholder + imageEnd) : text;
}

/** The ids of a prompt's text that is trusted: `imageId` at each `<image>`, tokens wherever their names stand. */
export function promptTextIds(tokenizer: Tokenizer, text: string): number[] {
  const parts = text.split(imagePlaceholder).flatMap((chunk): TextPart[] => [{ ids: [imageId] }, { text: chunk, special: true }]);
  return tokenizer.encodeParts(parts.slice(1), { bos: true });
}

interface RenderedTurn {
  readonly question: readonly TextPart[];
  readonly answer: readonly TextPart[] | undefined;
}

const token = (text: string): TextPart => ({ text, special: true });
const texts = (text: string): readonly TextPart[] => (text === '' ? [] : [{ text }]);
/** Ids that were generated follow the marker at once: the space is in their first piece. */
const isIds = (parts: readonly TextPart[]) => parts.some((part) => 'ids' in part);

function renderTurns({ form }: Template, system: string, turns: readonly RenderedTurn[]): TextPart[] {
  const render = form === 'separators' ? separatedTurn : instructedTurn;
  return turns.flatMap((turn, at) => render(turn, at === 0 ? system : undefined));
}

function separatedTurn({ question, answer }: RenderedTurn, system: string | undefined): TextPart[] {
  return [
    ...(system === undefined ? [] : [{ text: `${system} ` }]),
    ...(question.length === 0 ? [{ text: 'USER:' }] : [{ text: 'USER: ' }, ...question, { text: ' ' }]),
    { text: 'ASSISTANT:' },
    ...(answer === undefined ? [] : [...(isIds(answer) || answer.length === 0 ? [] : [{ text: ' ' }]), ...answer, token('</s>')]),
  ];
}

function instructedTurn({ question, answer }: RenderedTurn, system: string | undefined): TextPart[] {
  return [
    ...(system === undefined ? [token('<s>'), { text: '[INST] ' }] : [{ text: `[INST] <<SYS>>\n${system}\n<</SYS>>\n\n` }]),
    ...question,
    { text: ' [/INST]' },
    ...(answer === undefined ? [] : isIds(answer) ? [...answer, token('</s>')] : [{ text: ' ' }, ...answer, { text: ' ' }, token('</s>')]),
  ];
}

function imageParts(tokenizer: Tokenizer, prefix: string, wrap: boolean): TextPart[] {
  const [before, after, more] = prefix.split(imagePlaceholder);
  if (before === undefined || after === undefined || more !== undefined)
    throw new ArgumentError(`promptIds: imagePrefix is ${JSON.stringify(prefix)}, expected ${imagePlaceholder} once in it`);
  const image: TextPart = { ids: [imageId] };
  if (!wrap) return [{ text: before }, image, { text: after }];
  for (const name of [imageStart, imageEnd])
    if (tokenizer.idOf(name) === undefined) throw new ArgumentError(`promptIds: wrapImage is true, but the tokenizer has no ${name}`);
  return [{ text: before }, token(imageStart), image, token(imageEnd), { text: after }];
}

const answerTokens: ReadonlySet<string> = new Set([phraseStart, phraseEnd, segToken]);

function answerParts(tokenizer: Tokenizer, answer: string | readonly number[], template: Template): TextPart[] {
  if (typeof answer !== 'string') return [{ ids: answer.at(-1) === tokenizer.eos ? answer.slice(0, -1) : answer }];
  const text = answer.replace(/<\/s>$/, '');
  return text === '' ? [] : [{ ...plain(text, template), special: answerTokens }];
}

/** A space before the last character of each marker: what is left is read by people as before, and has other ids. */
function plain(text: string, { markers }: Template): { text: string } {
  const marker = new RegExp(`(?<![\\p{L}\\p{N}])(?:${markers.map((one) => one.replace(/[[\]/]/g, '\\$&')).join('|')})`, 'gu');
  return { text: text.replace(marker, (found) => `${found.slice(0, -1)} ${found.slice(-1)}`) };
}

function templateOf(name: TemplateName): Template {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (!template)
    throw new ArgumentError(`prompt: template is ${JSON.stringify(name)}, expected one of ${Object.keys(templates).join(', ')}`);
  return template;
}

function check(tokenizer: Tokenizer, turns: readonly Turn[], { system = '' }: PromptOptions): void {
  if (!Array.isArray(turns) || turns.length === 0) throw new ArgumentError('promptIds: turns is empty, expected a question at least');
  let length = system.length;
  turns.forEach((turn: Turn | undefined, at) => {
    const { question, answer } = turn ?? { question: undefined };
    if (typeof question !== 'string') throw new ArgumentError(`promptIds: turns[${at}].question is ${typeof question}, expected a string`);
    if (answer === undefined && at < turns.length - 1)
      throw new ArgumentError(`promptIds: turns[${at}] has no answer, and only the last may have none`);
    if (answer !== undefined && typeof answer !== 'string' && !Array.isArray(answer))
      throw new ArgumentError(`promptIds: turns[${at}].answer is ${typeof answer}, expected a string or ids`);
    if (Array.isArray(answer)) for (const id of answer) tokenizer.pieceOf(id);
    length += question.length + (answer?.length ?? 0);
  });
  if (length > maxPromptLength)
    throw new LengthError(`promptIds: the conversation has ${length} characters, expected at most ${maxPromptLength}`);
}
