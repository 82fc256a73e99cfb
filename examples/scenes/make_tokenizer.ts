/**
 * Makes the vocabulary of mglmm-tiny from what is said about scenes, and from the words around every conversation:
 *
 *   npx tsx examples/scenes/make_tokenizer.ts
 */
import { join } from 'node:path';
import { SceneDataset, writeTokenizer } from '../../lib';
import { promptText } from '../../lib/text/prompt';
import { promptStyles } from '../../lib/text/template';

const pieces = 1273; // with the seven tokens that are added 1280
const { template, imagePrefix } = promptStyles.mglmm;

async function* texts(): AsyncGenerator<string> {
  const seed = 7;
  const sets = [
    new SceneDataset({ split: 'train', seed, size: 64, together: 5 }),
    new SceneDataset({ split: 'train', seed, size: 64, tasks: { everything: 1 } }),
    new SceneDataset({ split: 'unseen', seed, size: 64, together: 5 }),
  ];
  for (const set of sets) {
    for (let index = 0; index < 1000; index++) {
      const { conversation } = await set.get(index);
      // Each question once as the first of a conversation, which follows a line break, and once as a later one.
      for (const { question, answer } of conversation) yield promptText([[`${imagePrefix}${question}`, answer]], { template });
      for (const { question, answer } of conversation) yield `${question} ${answer}`;
    }
  }
}

async function main(): Promise<void> {
  const all: string[] = [];
  for await (const text of texts()) all.push(text);
  const tokens = await writeTokenizer(join(__dirname, 'tokenizer'), all, pieces);
  console.log(`${tokens} tokens of ${all.length} texts`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
