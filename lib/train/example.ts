/** A sample as rows of ids: what is read, what is to be said, and how many masks are asked for. */
import type { Sample } from '../data/sample';
import { MglmmError, TrainingSampleError } from '../errors';
import { collate } from '../text/label_mask';
import { type PromptOptions, promptText } from '../text/prompt';
import type { Tokenizer } from '../text/tokenizer';
import { ignoreLabel, imageEnd, imageStart } from '../text/tokens';

/** What turns texts into ids for a model. */
export interface Speech {
  readonly tokenizer: Tokenizer;
  /** How conversations are written. */
  readonly style: PromptOptions;
  /** Of `[SEG]`; none in a model that makes no masks. */
  readonly segId?: number;
}

export interface Example {
  readonly sample: Sample;
  /** With one image token, or none where the sample has no image. */
  readonly ids: readonly number[];
  /** Of each id, or `ignoreLabel`. */
  readonly labels: readonly number[];
  /** `[SEG]`s among the ids: masks that will be predicted. */
  readonly predicted: number;
  /** Targets beyond these, which are left out. */
  readonly surplusTargets: number;
  /** Whether ids were cut off. */
  readonly isTruncated: boolean;
}

export interface ExampleOptions {
  /** Longest row, the image's tokens included. */
  readonly maxLength: number;
  /** Tokens that an image becomes. */
  readonly imageTokens: number;
}

/**
 * @throws TrainingSampleError for a sample that nothing can be learned from, or that does not fit together: it names the sample.
 */
export function exampleOf(sample: Sample, { tokenizer, style, segId }: Speech, { maxLength, imageTokens }: ExampleOptions): Example {
  const hasImage = sample.image !== undefined;
  const wrapImage = style.wrapImage ?? (tokenizer.idOf(imageStart) !== undefined && tokenizer.idOf(imageEnd) !== undefined);
  const turns = sample.conversation.map(({ question, answer }, at) => {
    return [`${hasImage && at === 0 ? style.imagePrefix : ''}${question}`, answer] as const;
  });
  const refuse = (why: string, cause?: unknown): never => {
    throw new TrainingSampleError(`sample ${sample.id}: ${why}`, { cause });
  };
  const empty = sample.conversation.findIndex(({ answer }) => answer === '');
  if (turns.length === 0) refuse('has no conversation, expected a question and its answer');
  if (empty >= 0) refuse(`conversation[${empty}] has an empty answer, expected what is to be said`);
  const text = promptText(turns, { template: style.template, system: style.system, wrapImage });
  // The cut depends on the longest that may be, not on what else is in the batch.
  const rows = whole(() => collate(tokenizer, [text], { modelMaxLength: Number.MAX_SAFE_INTEGER, addedTokenNum: 0 }), refuse);
  const room = Math.max(1, maxLength - (hasImage ? imageTokens - 1 : 0));
  const [all, known] = [rows.inputIds[0] as number[], rows.labels[0] as number[]];
  const [ids, labels] = [all.slice(0, room), known.slice(0, room)];
  const images = all.filter((id) => id < 0).length;
  if (images !== Number(hasImage))
    refuse(`names ${images} images in its text, expected ${hasImage ? 'the one before its first question' : 'none, as it has no image'}`);
  if (!labels.some((label, at) => at > 0 && label !== ignoreLabel)) {
    refuse(`has no token of an answer within ${maxLength} tokens, expected one at least; its questions are too long`);
  }
  const predicted = segId === undefined ? 0 : ids.filter((id, at) => at > 0 && id === segId).length;
  const targets = sample.masks.length;
  if (targets > 0 && predicted > targets) {
    refuse(`has ${predicted} [SEG] and ${targets} masks, expected a mask for each [SEG]`);
  }
  return { sample, ids, labels, predicted, surplusTargets: Math.max(0, targets - predicted), isTruncated: all.length > ids.length };
}

function whole<Result>(body: () => Result, refuse: (why: string, cause: unknown) => never): Result {
  try {
    return body();
  } catch (error) {
    if (error instanceof MglmmError) return refuse(error.message, error);
    throw error;
  }
}
