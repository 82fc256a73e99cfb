/**
 * CIDEr-D: how much of what people say of a picture a caption says, by n-grams that are the weightier the fewer pictures they are said of.
 * Vedantam et al. 2015, arXiv 1411.5726, as pycocoevalcap computes it, which papers call CIDEr.
 */
import { Turns } from '../image/turns';
import { captionTokens } from './caption_tokens';

export interface CaptionedImage {
  readonly caption: string;
  /** At least one. */
  readonly references: readonly string[];
}

export interface CiderScores {
  /** Mean over the pictures: 0 to 10; tables show it times 100. NaN for none, 0 for one, as every word is said of all pictures then. */
  readonly cider: number;
  readonly perImage: readonly number[];
}

const longest = 4;
const sigma = 6;
const textsATurn = 10; // about a millisecond's

/** By n - 1: how often each n-gram comes. */
type Counts = readonly ReadonlyMap<string, number>[];

export async function ciderD(images: readonly CaptionedImage[]): Promise<CiderScores> {
  const turns = new Turns(textsATurn);
  const counted: { caption: Counts; references: Counts[] }[] = [];
  const pictures = new Map<string, number>(); // in how many an n-gram is said
  for (const { caption, references } of images) {
    const said = references.map(countsOf);
    counted.push({ caption: countsOf(caption), references: said });
    for (const gram of new Set(said.flatMap((counts) => counts.flatMap((one) => [...one.keys()]))))
      pictures.set(gram, (pictures.get(gram) ?? 0) + 1);
    if (turns.due(1 + references.length)) await turns.next();
  }
  const rarity = (gram: string) => Math.log(images.length) - Math.log(Math.max(1, pictures.get(gram) ?? 0));
  const perImage: number[] = [];
  for (const { caption, references } of counted) {
    const said = weigh(caption, rarity);
    perImage.push((10 * references.reduce((sum, one) => sum + similarity(said, weigh(one, rarity)), 0)) / references.length);
    if (turns.due(1 + references.length)) await turns.next();
  }
  return { cider: perImage.reduce((sum, score) => sum + score, 0) / images.length, perImage };
}

interface Weighed {
  readonly weights: readonly ReadonlyMap<string, number>[];
  readonly norms: readonly number[];
  readonly bigrams: number;
}

function weigh(counts: Counts, rarity: (gram: string) => number): Weighed {
  const weights = counts.map((one) => new Map([...one].map(([gram, count]) => [gram, count * rarity(gram)])));
  const norms = weights.map((one) => Math.sqrt([...one.values()].reduce((sum, weight) => sum + weight * weight, 0)));
  const bigrams = [...(counts[1]?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  return { weights, norms, bigrams };
}

/** Cosines of the n-grams, cut so that saying a word again and again does not pay, and lowered for another length. */
function similarity(caption: Weighed, reference: Weighed): number {
  const penalty = Math.exp(-((caption.bigrams - reference.bigrams) ** 2) / (2 * sigma ** 2));
  let sum = 0;
  for (let n = 0; n < longest; n++) {
    let product = 0;
    for (const [gram, weight] of caption.weights[n] ?? []) {
      const wanted = reference.weights[n]?.get(gram) ?? 0;
      product += Math.min(weight, wanted) * wanted;
    }
    const norms = (caption.norms[n] as number) * (reference.norms[n] as number);
    sum += (norms === 0 ? product : product / norms) * penalty;
  }
  return sum / longest;
}

function countsOf(text: string): Counts {
  const tokens = captionTokens(text);
  return Array.from({ length: longest }, (_, n) => {
    const counts = new Map<string, number>();
    for (let i = 0; i + n < tokens.length; i++) {
      const gram = tokens.slice(i, i + n + 1).join(' ');
      counts.set(gram, (counts.get(gram) ?? 0) + 1);
    }
    return counts;
  });
}
