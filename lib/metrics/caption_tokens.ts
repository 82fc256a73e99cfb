/**
 * Words of captions. The Penn Treebank's rules as far as captions in English need them, where pycocoevalcap asks Stanford's tokenizer, which
 * is Java: lower case, punctuation apart from words and left out, `don't` as `do n't`, `dog's` as `dog 's`.
 */

/** Name of these rules, for what is written beside a score. */
export const captionTokenizer = 'ptb-subset-1';

const [negation, clitic] = [/^(.+)(n't)$/, /^(.+)('(?:s|re|ve|ll|d|m))$/];

export function captionTokens(text: string): string[] {
  const words =
    text
      .toLowerCase()
      .replace(/[’‘]/g, "'")
      .match(/\d+(?:[.,:]\d+)*|[\p{L}\p{N}]+(?:[-'.][\p{L}\p{N}]+)*|[$%&#+=*/@]/gu) ?? [];
  return words.flatMap((word) => {
    if (word === 'cannot') return ['can', 'not'];
    const parts = negation.exec(word) ?? clitic.exec(word);
    return parts ? parts.slice(1) : [word];
  });
}
