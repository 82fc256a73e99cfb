/**
 * Words of captions. The Penn Treebank's rules as far as captions in English need them, where pycocoevalcap asks Stanford's tokenizer, which
 * is Java: lower case, punctuation apart from words and left out, `don't` as `do n't`, `dog's` as `dog 's`, `20-year-old` and `1,000th` whole.
 */

/** Name of these rules, for what is written beside a score. */
export const captionTokenizer = 'ptb-subset-2';

/** Numbers that are no beginning of a word, words, signs. */
const token = /\d+(?:[.,:]\d+)*(?![\p{L}\p{N}]|[-']\p{L}|[.,:]\d)|[\p{L}\p{N}]+(?:(?:[-'.]|(?<=\d)[,:](?=\d))[\p{L}\p{N}]+)*|[$%&#+=*/@]/gu;
const [negation, clitic] = [/^(.+)(n't)$/, /^(.+)('(?:s|re|ve|ll|d|m))$/];

export function captionTokens(text: string): string[] {
  const words = text.normalize('NFC').toLowerCase().replace(/[’‘]/g, "'").match(token) ?? [];
  return words.flatMap((word) => {
    if (word === 'cannot') return ['can', 'not'];
    const parts = negation.exec(word) ?? clitic.exec(word);
    return parts ? parts.slice(1) : [word];
  });
}
