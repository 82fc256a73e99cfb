/**
 * From the whole of a picture to its objects and on to their parts: what the model says about the scene, then about each phrase of
 * that, as one tree. The questions are those that MGLMM was trained on. Zhou et al. 2025, AAAI.
 */
import { type Check, integerFrom, isFunction } from '../checks';
import { type Box, rleFromRuns } from '../image/rle';
import { Mask } from '../masks/mask';
import { partQuestion, sceneQuestion } from '../text/questions';
import type { GroundedPhrase } from './answer';
import { answering } from './answering';
import { type Engine, prefixLength } from './engine';
import { leaseMaskSource } from './mask_source';
import type { Picture } from './picture';
import { leasePrefix } from './read_image';
import { type AnswerOptions, answeringOptions, idsOf, optionChecks, questionText } from './request';
import type { Question } from './row';

/** An object, or a part of one; the root is the whole picture. */
export interface ExploredNode {
  /** Empty at the root. */
  readonly phrase: string;
  readonly mask: Mask;
  readonly box: Box;
  readonly score: number;
  /** Where it stands in the tree: from the root, which child each time. */
  readonly path: readonly number[];
  /** What the model says about it; empty until it is asked, and where it is not. */
  text: string;
  readonly children: ExploredNode[];
}

export interface ExploreOptions extends AnswerOptions {
  /** 1: the scene and its objects; 2, the default: the parts of each object as well; and so on. */
  depth?: number;
  /** Phrases of an answer that are looked into, in their order; default 8. The others are leaves. */
  maxPhrases?: number;
  /** What is asked about the picture, and about a phrase of an answer. */
  prompts?: { scene?: string; part?: (phrase: string) => string };
  /** Told of each node as soon as its mask is there, the root first. */
  onNode?: (node: ExploredNode) => void;
}

const isPrompts: Check = (value) => {
  const { scene = '', part = partQuestion }: Record<string, unknown> =
    typeof value === 'object' && value !== null ? { ...value } : { scene: null };
  const fits = typeof scene === 'string' && typeof part === 'function';
  return fits ? undefined : 'an object with scene, a string, and part, a function of a phrase';
};

export const exploreChecks = {
  ...optionChecks,
  depth: integerFrom(1),
  maxPhrases: integerFrom(0),
  prompts: isPrompts,
  onNode: isFunction,
} satisfies Record<keyof ExploreOptions, Check>;

/** Questions that are answered together; more would not get, to the bit, the answers that each gets alone. */
const together = 4;

/** The nodes as they are found, each behind its parent; at last the root. */
export async function* explore(
  engine: Engine,
  picture: Picture,
  options: ExploreOptions,
): AsyncGenerator<ExploredNode, ExploredNode, undefined> {
  const { depth = 2, maxPhrases = 8, prompts: { scene = sceneQuestion, part = partQuestion } = {}, onNode, ...answers } = options;
  const found = (node: ExploredNode) => {
    onNode?.(node);
    return node;
  };
  const root = wholeOf(picture);
  yield found(root);
  // Kept from one group of questions to the next, whatever other requests bring.
  const held: Disposable[] = [];
  try {
    let level: Asked[] = [{ node: root, known: [] }];
    for (let step = 0; step < depth && level.length > 0; step++) {
      const next: Asked[] = [];
      for (let begin = 0; begin < level.length; begin += together) {
        const group = level.slice(begin, begin + together);
        const questions = group.map(({ node }) => questionOf(engine, picture, node === root ? scene : part(node.phrase), answers));
        const { ids } = questions[0] as Question;
        if (held.length === 0) held.push(await leasePrefix(engine, picture, ids.slice(0, prefixLength(engine, ids)), answers.signal));
        for await (const { row, event } of answering(questions, answeringOptions(engine, 'explore', answers))) {
          const { node: parent, known } = group[row] as Asked;
          if (event.type === 'done') parent.text = event.answer.text;
          if (event.type !== 'mask' || known.includes(nameOf(event.segment.phrase))) continue;
          if (held.length === 1) held.push(await leaseMaskSource(engine.model.sam, engine.cache, picture, answers.signal));
          const node = childOf(parent, event.segment);
          const [name, siblings] = [nameOf(node.phrase), parent.children.slice(0, -1)];
          const isNew = name !== '' && !siblings.some(({ phrase }) => nameOf(phrase) === name);
          const asked = next.filter((one) => one.parent === parent).length;
          if (isNew && asked < maxPhrases) next.push({ node, parent, known: [...known, name] });
          yield found(node);
        }
      }
      level = next;
    }
    return root;
  } finally {
    for (const lease of held) lease[Symbol.dispose]();
  }
}

/** A node that is asked about, and the names from the root to it: an answer about a thing names the thing again. */
interface Asked {
  readonly node: ExploredNode;
  readonly parent?: ExploredNode;
  readonly known: readonly string[];
}

const nameOf = (phrase: string) => phrase.trim().toLowerCase();

function wholeOf({ width, height }: Picture): ExploredNode {
  const mask = new Mask(rleFromRuns([0, width * height], [height, width]), 1);
  return { phrase: '', mask, box: mask.box, score: 1, path: [], text: '', children: [] };
}

function childOf(parent: ExploredNode, { phrase, mask, box, score }: GroundedPhrase): ExploredNode {
  const child: ExploredNode = { phrase, mask, box, score, path: [...parent.path, parent.children.length], text: '', children: [] };
  parent.children.push(child);
  return child;
}

function questionOf(engine: Engine, picture: Picture, prompt: string, { system, seed }: AnswerOptions): Question {
  const ids = idsOf(engine, 'explore', [{ question: questionText('explore', prompt) }], system);
  return { engine, picture, ids, seed, askedMs: performance.now(), imageMs: 0 };
}
