/** What phrases about scenes name. `sharedWords` alone takes a striped red dog for a striped red cat in mask recall. */
import { colorNames } from '../data/scenes/colors';
import { kinds } from '../data/scenes/kinds';
import { pixelClassNames } from '../data/scenes/pixel_classes';
import { type PhraseSimilarity, sharedWords } from '../metrics/texts';
import type { Category } from './scorers';

/** Kinds of things, regions, and parts of kinds: `chair leg`. */
export const sceneCategories: readonly Category[] = [
  ...pixelClassNames.kind.map((name) => ({ name })),
  ...kinds.flatMap(({ name, parts }) => Object.keys(parts).map((part) => ({ name: `${name} ${part}`, isPart: true }))),
];

/** From 0 to 1: the share of words in common, and 0 where the nouns differ or each has a colour and not the same. */
export const sceneSimilarity: PhraseSimilarity = (truth, phrase) => {
  const [a, b] = [namedBy(truth), namedBy(phrase)];
  const isOther = a.noun !== b.noun || (a.color !== undefined && b.color !== undefined && a.color !== b.color);
  return isOther ? 0 : sharedWords(truth, phrase);
};

/** `person` and `red` of `a person in red`. */
function namedBy(phrase: string): { readonly noun?: string; readonly color?: string } {
  const lower = phrase.toLowerCase();
  const words = lower.match(/[\p{L}\p{N}]+(?:[-'’][\p{L}\p{N}]+)*/gu) ?? [];
  const behind = words.findIndex((word) => ['in', 'of', 'on'].includes(word));
  const name = behind > 0 ? words.slice(0, behind) : words;
  return { noun: name.at(-1), color: lower.match(/[a-z]+/g)?.find((word) => (colorNames as string[]).includes(word)) };
}
