/** Phrases about scenes, compared for mask recall by what they name: `sharedWords` alone takes a striped red dog for a striped red cat. */
import { colorNames } from '../data/scenes/colors';
import { type PhraseSimilarity, sharedWords } from '../metrics/texts';

/** From 0 to 1: the share of words in common, and 0 where the nouns differ or each has a colour and not the same. */
export const sceneSimilarity: PhraseSimilarity = (truth, phrase) => {
  const [a, b] = [namedBy(truth), namedBy(phrase)];
  const isOther = a.noun !== b.noun || (a.color !== undefined && b.color !== undefined && a.color !== b.color);
  return isOther ? 0 : sharedWords(truth, phrase);
};

/** `person` and `red` of `a person in red`. */
function namedBy(phrase: string): { readonly noun?: string; readonly color?: string } {
  const lower = phrase.toLowerCase();
  const [name = ''] = lower.split(/ (?:in|of|on) /);
  return { noun: name.trim().split(' ').at(-1), color: lower.match(/[a-z]+/g)?.find((word) => (colorNames as string[]).includes(word)) };
}
