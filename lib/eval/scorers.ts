/** What a task's turns are scored by: its metrics added up, and a number for each turn by itself. */
import { rleIou } from '../image/rle';
import { MaskAveragePrecision } from '../metrics/average_precision';
import { type CaptionedImage, ciderD } from '../metrics/cider';
import { type GresSample, gresScores } from '../metrics/gres';
import { pairedMiou, recalled, strictMiou } from '../metrics/grounding';
import { ciou, giou, type Overlap, overlapOf, united } from '../metrics/overlap';
import { byCategory, type CategorySegment, type PanopticImage, PanopticQuality, painted, SemanticMiou } from '../metrics/panoptic';
import { isExactMatch, type PhraseSimilarity, sharedWords } from '../metrics/texts';
import { parseSegCap } from '../text/segcap';
import type { AnsweredTurn } from './record';

type Size = readonly [height: number, width: number];

type Metrics = Record<string, number>;

/** A category of a data set, as COCO lists them. */
export interface Category {
  readonly name: string;
  /** Whether it is part of what another category has: `chair leg`. */
  readonly isPart?: boolean;
}

/** Adds up turns of a kind. */
export interface Scorer {
  /**
   * @param order - of its sample among all, where a metric depends on it.
   * @returns how good this turn is by itself, from 0 to 1: what samples are ordered by.
   */
  add(turn: AnsweredTurn, size: Size, order: number): number;
  metrics(): Metrics | Promise<Metrics>;
}

const phrasesOf = (segcap: string) => parseSegCap(segcap).segments.map(({ phrase }) => phrase);
const found = ({ segments }: AnsweredTurn) => segments.map(({ segmentation }) => segmentation);

/** Masks of an answer as one, against those of the truth as one: what is looked for may be nothing, or several things. */
class Referring implements Scorer {
  readonly #isGeneral: boolean;
  readonly #overlaps: Overlap[] = [];
  readonly #samples: GresSample[] = [];

  /** @param isGeneral - whether there may be no target: gRefCOCO's scores come first then. */
  constructor(isGeneral: boolean) {
    this.#isGeneral = isGeneral;
  }

  add(turn: AnsweredTurn, size: Size): number {
    const overlap = overlapOf(united(found(turn), size), united(turn.truthMasks, size));
    const sample = { overlap, hasTarget: turn.truthMasks.length > 0, isRejected: turn.segments.length === 0 };
    this.#overlaps.push(overlap);
    this.#samples.push(sample);
    return gresScores([sample]).giou;
  }

  metrics(): Metrics {
    const { giou: official, nAcc, tAcc, precision } = gresScores(this.#samples);
    const targets = this.#samples.filter(({ hasTarget }) => hasTarget).length;
    const rejection: Metrics = { ...(targets < this.#samples.length ? { 'N-acc': nAcc } : {}), ...(targets > 0 ? { 'T-acc': tAcc } : {}) };
    const overlap: Metrics = { ...(targets > 0 ? { cIoU: ciou(this.#overlaps) } : {}), gIoU: giou(this.#overlaps) };
    const shares: Metrics = targets > 0 ? { 'Pr@0.7': precision['0.7'], 'Pr@0.8': precision['0.8'], 'Pr@0.9': precision['0.9'] } : {};
    return this.#isGeneral ? { 'gIoU (gRefCOCO)': official, ...rejection, ...overlap, ...shares } : { ...overlap, ...shares, ...rejection };
  }
}

/** Descriptions whose phrases have masks. */
class Grounding implements Scorer {
  readonly #similarity: PhraseSimilarity;
  readonly #precision = new MaskAveragePrecision();
  readonly #captions: CaptionedImage[] = [];
  readonly #sums = { miou: 0, strict: 0, turns: 0, found: 0, foundAny: 0, truths: 0 };

  constructor(similarity: PhraseSimilarity) {
    this.#similarity = similarity;
  }

  add(turn: AnsweredTurn, _size: Size, order: number): number {
    const { truthMasks, segments, truth, answer } = turn;
    const masks = found(turn);
    const iou = rleIou(truthMasks, masks);
    const similarity = phrasesOf(truth).map((label) => segments.map(({ phrase }) => this.#similarity(label, phrase)));
    const strict = strictMiou(iou, masks.length, truthMasks.length);
    this.#precision.add({ detections: masks.map((rle) => ({ rle })), truths: truthMasks.map((rle) => ({ rle })), order });
    this.#captions.push({ caption: answer, references: [parseSegCap(truth).text] });
    this.#sums.turns++;
    this.#sums.miou += pairedMiou(iou);
    this.#sums.strict += strict;
    this.#sums.truths += truthMasks.length;
    this.#sums.foundAny += recalled(iou, similarity, { stopsEarly: false }) ?? 0;
    // Each mask here has a phrase, though it may be empty; so no picture is dropped.
    this.#sums.found += recalled(iou, similarity) ?? 0;
    return strict;
  }

  async metrics(): Promise<Metrics> {
    const { miou, strict, turns, found: stopped, foundAny, truths } = this.#sums;
    const { ap50, ap } = await this.#precision.scores();
    return {
      mIoU: miou / turns,
      'mIoU (strict)': strict / turns,
      AP50: ap50,
      AP: ap,
      recall: stopped / truths,
      'recall (all pairs)': foundAny / truths,
      CIDEr: (await ciderD(this.#captions)).cider,
    };
  }
}

/** `dog-2` and `The dogs` are no other categories than `dog` and `dogs`. */
const categoryOf = (phrase: string) =>
  phrase
    .toLowerCase()
    .replace(/\s*-\s*\d+$/, '')
    .replace(/^(?:the|an?)\s+/, '')
    .trim();

/** Pictures as segments of categories. What no segment of the truth covers is background, and a mask there is wrong. */
class Segments implements Scorer {
  readonly #isMerged: boolean;
  readonly #quality = new PanopticQuality();
  readonly #mergedQuality = new PanopticQuality();
  readonly #miou = new SemanticMiou();
  readonly #partMiou = new SemanticMiou();
  /** Of a category whether it is a part; undefined where nobody knows which there are. */
  readonly #isPart?: ReadonlyMap<string, boolean>;

  /** @param isMerged - whether things of a category are one: semantic segmentation. */
  constructor(isMerged: boolean, categories?: readonly Category[]) {
    this.#isMerged = isMerged;
    this.#isPart = categories && new Map(categories.map(({ name, isPart = false }) => [name, isPart]));
  }

  add(turn: AnsweredTurn, size: Size): number {
    const named = turn.segments.map(({ phrase, segmentation }) => ({ category: categoryOf(phrase), rle: segmentation }));
    const truth = phrasesOf(turn.truth).flatMap((phrase, i): CategorySegment[] => {
      const rle = turn.truthMasks[i];
      return rle ? [{ category: categoryOf(phrase), rle }] : [];
    });
    const isPart = this.#isPart;
    // What has the name of no category is void: it covers what it lies on, and is nothing itself.
    const predicted = painted(named, size).filter(({ category }) => isPart?.has(category) !== false);
    const image: PanopticImage = { size, predicted, truth: painted(truth, size) };
    const ofWholes = (segments: readonly CategorySegment[]) => segments.filter(({ category }) => !isPart?.get(category));
    const ofParts = (segments: readonly CategorySegment[]) => segments.filter(({ category }) => isPart?.get(category));
    this.#miou.add({ size, predicted: ofWholes(predicted), truth: ofWholes(image.truth) });
    this.#partMiou.add({ size, predicted: ofParts(predicted), truth: ofParts(image.truth) });
    this.#quality.add(image);
    this.#mergedQuality.add({ size, predicted: byCategory(image.predicted), truth: byCategory(image.truth) });
    const alone = this.#isMerged ? new SemanticMiou() : new PanopticQuality();
    alone.add(image);
    const scores = alone.scores();
    const value = 'miou' in scores ? scores.miou : scores.pq;
    return Number.isNaN(value) ? 1 : value; // nothing to be found, and nothing found
  }

  metrics(): Metrics {
    const [{ miou }, { miou: ofParts }] = [this.#miou.scores(), this.#partMiou.scores()];
    const mious: Metrics = { mIoU: miou, ...(Number.isNaN(ofParts) ? {} : { 'mIoU (parts)': ofParts }) };
    const { pq, sq, rq } = this.#quality.scores();
    const merged = this.#mergedQuality.scores().pq;
    return this.#isMerged ? mious : { PQ: pq, SQ: sq, RQ: rq, 'PQ (merged)': merged, ...mious };
  }
}

class Captions implements Scorer {
  readonly #captions: CaptionedImage[] = [];

  add({ answer, truth }: AnsweredTurn): number {
    const reference = parseSegCap(truth).text;
    this.#captions.push({ caption: answer, references: [reference] });
    return sharedWords(reference, answer); // CIDEr is of all pictures, not of one
  }

  async metrics(): Promise<Metrics> {
    return { CIDEr: (await ciderD(this.#captions)).cider };
  }
}

class Answers implements Scorer {
  #right = 0;
  #turns = 0;

  add({ answer, truth }: AnsweredTurn): number {
    const value = Number(isExactMatch(answer, parseSegCap(truth).text));
    this.#right += value;
    this.#turns++;
    return value;
  }

  metrics(): Metrics {
    return { accuracy: this.#right / this.#turns };
  }
}

export interface ScoringOptions {
  /** Of phrases, for mask recall; default {@link sharedWords}. */
  readonly similarity?: PhraseSimilarity;
  /** All that the data set has; what an answer names otherwise is void then. Default any name is one. */
  readonly categories?: readonly Category[];
}

/** The scorer of a task; samples of tasks that are not known here are scored by their masks, or by their words where they have none. */
export function scorerOf(task: string, hasMasks: boolean, { similarity = sharedWords, categories }: ScoringOptions = {}): Scorer {
  switch (task) {
    case 'refer':
    case 'reason':
      return new Referring(false);
    case 'multiple':
    case 'empty':
      return new Referring(true);
    case 'gcg':
    case 'mgsc':
      return new Grounding(similarity);
    case 'semantic':
      return new Segments(true, categories);
    case 'instance':
    case 'panoptic':
      return new Segments(false, categories);
    case 'caption':
      return new Captions();
    case 'conversation':
      return new Answers();
    default:
      return hasMasks ? new Referring(false) : new Answers();
  }
}

/** How good a turn is by itself, from 0 to 1. @param hasMasks - whether any turn of its sample has. */
export function turnValue(task: string, hasMasks: boolean, size: Size, turn: AnsweredTurn): number {
  return scorerOf(task, hasMasks).add(turn, size, 0);
}
