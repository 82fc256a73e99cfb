/** Short texts compared: answers to questions, and phrases that name the same thing. */

/** The answer without what does not matter: case, white space, a full stop at its end. */
const plain = (text: string) =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\s.!?]+$/, '');

/** Whether an answer is the true one, word for word. */
export const isExactMatch = (answer: string, truth: string): boolean => plain(answer) === plain(truth);

/** How like two phrases are, from 0 to 1. */
export type PhraseSimilarity = (truth: string, phrase: string) => number;

const small = new Set('a an the this that these those its his her their some of in on at with and is are there'.split(' '));

/**
 * Words in common over words in either (Jaccard), without articles and the like. The published recall takes the cosine of BERT's states,
 * which calls almost any two nouns alike; here a red car is a car (1/2), and no blue car (1/3); with more words said, one may be wrong.
 */
export const sharedWords: PhraseSimilarity = (truth, phrase) => {
  const [a, b] = [wordsOf(truth), wordsOf(phrase)];
  const shared = [...a].filter((word) => b.has(word)).length;
  const all = new Set([...a, ...b]).size;
  return all === 0 ? 0 : shared / all;
};

const wordsOf = (phrase: string) =>
  new Set(
    (
      phrase
        .normalize('NFKC')
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu) ?? []
    ).filter((word) => !small.has(word)),
  );
