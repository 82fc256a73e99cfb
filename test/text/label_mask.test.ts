import { beforeAll, expect, test } from '@jest/globals';
import { ArgumentError } from '../../lib/errors';
import { collate } from '../../lib/text/label_mask';
import { promptText } from '../../lib/text/prompt';
import type { Tokenizer } from '../../lib/text/tokenizer';
import { mglmmTokenizer } from '../support/tokenizer_golden';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await mglmmTokenizer();
});
const room = { modelMaxLength: 1536, addedTokenNum: 575 };
const text = (...turns: [string, string][]) => promptText(turns, { template: 'llava_v1' });

/** What is learned of each row, as text. */
const learned = (conversations: string[], options = room) =>
  collate(tokenizer, conversations, options).labels.map((row) => tokenizer.decode(row.filter((label) => label >= 0)));

test('labels are the answers and their ends', () => {
  expect(learned([text(['<image>\nHi', 'A <p> cat </p> [SEG].'], ['And?', 'No.']), text(['Bye', 'Good-bye'])])).toEqual([
    'A <p> cat </p> [SEG]  .</s> No.</s>',
    ' Good-bye</s>',
  ]);
});

test('what follows an empty turn is not learned', () => {
  expect(learned([`${text(['a', 'b'])}</s>USER: c ASSISTANT: d</s>`])).toEqual([' b</s>']);
});

test('no conversations are a batch of none', () =>
  expect(collate(tokenizer, [], room)).toEqual({ inputIds: [], labels: [], attentionMask: [] }));

test('refuses a turn without answer', () =>
  expect(() => learned([text(['a', 'b']), text(['c', ''])])).toThrow(
    new ArgumentError('collate: turn 0 of conversations[1] has 0 " ASSISTANT: ", expected 1'),
  ));

test('refuses a turn with two', () =>
  expect(() => learned([text(['a ASSISTANT: b', 'c'])])).toThrow(
    new ArgumentError('collate: turn 0 of conversations[0] has 2 " ASSISTANT: ", expected 1'),
  ));

test('refuses a length that the image alone fills', () =>
  expect(() => learned([], { modelMaxLength: 575, addedTokenNum: 575 })).toThrow(
    new ArgumentError('collate: modelMaxLength is 575, expected above addedTokenNum, which is 575'),
  ));
