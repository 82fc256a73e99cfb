/** Every template and every batch of the goldens of the tokenizer. */
import { strict as assert } from 'node:assert';
import { describe, expect, test } from '@jest/globals';
import { collate } from '../../lib/text/label_mask';
import { promptIds, promptText, promptTextIds } from '../../lib/text/prompt';
import { promptStyles, type TemplateName } from '../../lib/text/template';
import { loadTokenizer } from '../../lib/text/tokenizer';
import { tokenizerFolder, tokenizerGoldens } from '../support/tokenizer_golden';

interface GoldenTemplate {
  template: TemplateName | null;
  name: string;
  system?: string;
  turns?: [string, string | null][];
  prompt: string;
  input_ids: number[];
}

interface GoldenBatch {
  name: string;
  model_max_length: number;
  added_token_num: number;
  conversations: string[];
  input_ids: number[][];
  labels: number[][];
  attention_mask: number[][];
}

test('there are goldens of a tokenizer', () => assert.ok(tokenizerGoldens.length > 0));

for (const golden of tokenizerGoldens) {
  describe(golden.folder, () => {
    const loading = loadTokenizer(tokenizerFolder(golden));
    const prompts = golden.read<GoldenTemplate[]>('templates.json');
    const batches = golden.read<GoldenBatch[]>('collate.json');

    test.each(prompts.map((one) => [`${one.template} ${one.name}`, one] as const))(
      'prompt %s',
      async (_, { template, system, turns, prompt, input_ids }) => {
        const tokenizer = await loading;
        if (template && turns) expect(promptText(turns, { template, system })).toBe(prompt);
        expect(promptTextIds(tokenizer, prompt)).toEqual(input_ids);
      },
    );

    /** What the user says is the question without the image's prefix. */
    const said = prompts.flatMap(({ template, name, system, turns, input_ids }) => {
      const style = Object.values(promptStyles).find(({ imagePrefix }) => turns?.[0]?.[0].startsWith(imagePrefix));
      if (!template || !turns || !style) return [];
      // Tokens and markers in what users say are taken otherwise, on purpose.
      if (turns.some(([question], at) => /[<[]|USER:|ASSISTANT:/.test(at === 0 ? question.slice(style.imagePrefix.length) : question)))
        return [];
      const conversation = turns.map(([question, answer], at) => ({
        question: at === 0 ? question.slice(style.imagePrefix.length) : question,
        answer: answer || undefined,
      }));
      return [{ name: `${template} ${name}`, options: { template, system, imagePrefix: style.imagePrefix }, conversation, input_ids }];
    });

    test('some prompts begin with the prefix of an image', () => assert.ok(said.length > 0));

    test.each(said.map((one) => [one.name, one] as const))(
      'what users say gives the same ids: %s',
      async (_, { options, conversation, input_ids }) => {
        expect(promptIds(await loading, conversation, options)).toEqual(input_ids);
      },
    );

    test.each(batches.map((one) => [one.name, one] as const))('batch %s', async (_, batch) => {
      const { model_max_length: modelMaxLength, added_token_num: addedTokenNum } = batch;
      expect(collate(await loading, batch.conversations, { modelMaxLength, addedTokenNum })).toEqual({
        inputIds: batch.input_ids,
        labels: batch.labels,
        attentionMask: batch.attention_mask,
      });
    });
  });
}
