/**
 * Conversations as a batch for training, with labels on the answers alone, as the published training code makes them from the
 * text of `llava_v1`: ids, labels and attention mask, padded on the right and cut.
 */
import { ArgumentError } from '../errors';
import { promptTextIds } from './prompt';
import type { Tokenizer } from './tokenizer';
import { ignoreLabel } from './tokens';

export interface CollateOptions {
  /** Longest sequence that the model is trained on, the image's features included. */
  readonly modelMaxLength: number;
  /** Positions that the image adds to its one id: 575 for 24 x 24 patches. */
  readonly addedTokenNum: number;
}

/** Rows of one length, one a conversation. */
export interface Collated {
  readonly inputIds: number[][];
  /** The id to be predicted, or `ignoreLabel`. */
  readonly labels: number[][];
  /** 0 for padding; also for an <unk> in the text, which has the id of padding. */
  readonly attentionMask: number[][];
}

const endOfTurn = '</s>';
const beforeAnswer = ' ASSISTANT: ';

/**
 * @param conversations - Texts of whole conversations, as `promptText` makes them.
 * @throws ArgumentError when a turn has no answer or more than one, or nothing is left of `modelMaxLength`.
 */
export function collate(
  tokenizer: Tokenizer,
  conversations: readonly string[],
  { modelMaxLength, addedTokenNum }: CollateOptions,
): Collated {
  const room = modelMaxLength - addedTokenNum;
  if (!(room > 0))
    throw new ArgumentError(`collate: modelMaxLength is ${modelMaxLength}, expected above addedTokenNum, which is ${addedTokenNum}`);
  const rows = conversations.map((text, index) => {
    const ids = promptTextIds(tokenizer, text);
    return { ids, labels: labelsOf(tokenizer, text, ids, index) };
  });
  const length = Math.min(room, Math.max(0, ...rows.map(({ ids }) => ids.length)));
  const padded = (row: readonly number[], padding: number) => Array.from({ length }, (_, at) => row[at] ?? padding);
  const inputIds = rows.map(({ ids }) => padded(ids, tokenizer.pad));
  return {
    inputIds,
    labels: rows.map(({ labels }) => padded(labels, ignoreLabel)),
    attentionMask: inputIds.map((row) => row.map((id) => Number(id !== tokenizer.pad))),
  };
}

function labelsOf(tokenizer: Tokenizer, text: string, ids: readonly number[], index: number): number[] {
  const labels = ids.map(() => ignoreLabel);
  // <s> has no label. The <s> that each turn's ids begin with stands for the </s> that ended the turn before it.
  let begin = 1;
  for (const [turn, round] of text.split(endOfTurn).entries()) {
    if (round === '') break;
    const [question, ...answers] = round.split(beforeAnswer);
    if (answers.length !== 1)
      throw new ArgumentError(`collate: turn ${turn} of conversations[${index}] has ${answers.length} "${beforeAnswer}", expected 1`);
    // The question's ids without <s> and without the piece of the space at its end.
    const asked = promptTextIds(tokenizer, question + beforeAnswer).length - 2;
    const end = begin + promptTextIds(tokenizer, round).length;
    for (let at = begin + asked; at < Math.min(end, ids.length); at++) labels[at] = ids[at] as number;
    begin = end;
  }
  return labels;
}
