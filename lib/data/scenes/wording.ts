/** English for scenes: names, numbers, lists, and sentences that vary by a small grammar. */
import type { Rle } from '../../image/rle';
import { phraseEnd, phraseStart, segToken } from '../../text/tokens';
import type { SampleTurn } from '../sample';
import type { Chance } from './chance';
import type { Extent, Scene, ScenePart, SceneThing } from './scene';

/** One of `(a|b|c)` wherever that stands, the inner ones first. */
export function vary(chance: Chance, template: string): string {
  let text = template;
  for (let next = ''; next !== text; ) {
    [next, text] = [text, text.replace(/\(([^()]*\|[^()]*)\)/g, (_, options: string) => chance.pick(options.split('|')))];
  }
  return text;
}

const numbers = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'];
export const numberWord = (count: number): string => numbers[count] ?? String(count);

/** Of what is not counted there is none. */
export const withArticle = (noun: string): string =>
  /\b(?:flesh|hair)$/.test(noun) ? noun : `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
export const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** A thing, a part or a region, for its mask. */
export type Shown = Pick<Extent, 'labels'> & ({ readonly kind: string } | { readonly name: string });

export interface Marked {
  readonly phrase: string;
  readonly of: readonly Shown[];
}

/** What an answer says: text, and phrases with a mask. */
export type Said = string | Marked;

export const marked = (phrase: string, ...of: readonly Shown[]): Marked => ({ phrase, of });

/** `a, b and c`. */
export function listed(items: readonly Said[], last: 'and' | 'or' = 'and'): Said[] {
  return items.flatMap((item, i) => (i === 0 ? [item] : [i === items.length - 1 ? ` ${last} ` : ', ', item]));
}

/** `sep` between all of them. */
export const joined = (items: readonly (readonly Said[])[], sep = ' '): Said[] =>
  items.flatMap((item, i) => (i === 0 ? [...item] : [sep, ...item]));

/** Text without its masks. */
export const plain = (said: readonly Said[]): string => said.map((one) => (typeof one === 'string' ? one : one.phrase)).join('');

/** Questions and answers about a scene, with the masks of the answers. */
export class Dialogue {
  readonly scene: Scene;
  readonly chance: Chance;
  readonly conversation: SampleTurn[] = [];
  readonly masks: Rle[] = [];
  /** Whether a mask is announced by its phrase, as the unified SegCap format has it. */
  hasPhrases = true;

  constructor(scene: Scene, chance: Chance) {
    [this.scene, this.chance] = [scene, chance];
  }

  /** @param question - with the choices of {@link vary}. */
  turn(question: string, ...answer: readonly Said[]): this {
    const said = answer.map((one) => {
      if (typeof one === 'string') return one;
      this.masks.push(this.scene.maskOf(...one.of));
      return this.hasPhrases ? `${phraseStart} ${one.phrase} ${phraseEnd} ${segToken}` : segToken;
    });
    const asked = vary(this.chance, question).replace(/[.?] [a-z]/g, (start) => start.toUpperCase());
    this.conversation.push({ question: sentence(asked), answer: said.join('') });
    return this;
  }
}

/** Parts of one name. */
export interface PartGroup extends Pick<Extent, 'labels' | 'area'> {
  /** In the plural where it is several. */
  readonly name: string;
  readonly isSeveral: boolean;
  /** Where all have one colour. */
  readonly color?: string;
}

/** What one can see of a thing's parts, in the order in which its kind draws them. */
export function partGroups({ parts }: SceneThing, leastArea: number): PartGroup[] {
  const names = [...new Set(parts.map(({ name }) => name))];
  const groups = names.map((name) => {
    const of = parts.filter((part) => part.name === name);
    const [first] = of as [ScenePart];
    const isSeveral = first.isSeveral || (of.length > 1 && first.plural !== undefined);
    return {
      name: isSeveral ? (first.plural ?? name) : name,
      isSeveral,
      color: of.every(({ color }) => color === first.color) ? first.color : undefined,
      labels: of.flatMap(({ labels }) => labels),
      area: of.reduce((sum, { area }) => sum + area, 0),
    };
  });
  return groups.filter(({ area }) => area >= leastArea);
}

/** Things that look alike in words. */
export interface ThingGroup {
  readonly things: readonly SceneThing[];
  readonly first: SceneThing;
}

/** Middle of a thing, in picture widths. */
export const middleOf = ({ box }: Extent, { width, height }: Scene): readonly [x: number, y: number] => [
  (box[0] + box[2] / 2) / width,
  (box[1] + box[3] / 2) / height,
];

/** From left to right. */
export const inOrder = (things: readonly SceneThing[]): SceneThing[] =>
  [...things].sort((a, b) => a.box[0] + a.box[2] / 2 - b.box[0] - b.box[2] / 2 || a.id - b.id);

/** Things of one look, the group with the leftmost thing first. */
export function lookalikes(some: readonly SceneThing[]): ThingGroup[] {
  const groups = new Map<string, SceneThing[]>();
  for (const thing of inOrder(some)) {
    const look = lookOf(thing);
    groups.set(look, [...(groups.get(look) ?? []), thing]);
  }
  return [...groups.values()].map((things) => ({ things, first: things[0] as SceneThing }));
}

/** `striped red car`; of a person it is what is worn: `person in red`. */
export function lookOf(
  { kind, color, pattern }: Partial<Pick<SceneThing, 'color' | 'pattern'>> & Pick<SceneThing, 'kind'>,
  noun = kind,
): string {
  const look = [pattern, color].filter((word) => word !== undefined).join(' ');
  if (look === '') return noun;
  return kind === 'person' ? `${noun} in ${look}` : `${look} ${noun}`;
}

/** `a striped red car`, `two red cars`. */
export const groupName = ({ things, first }: ThingGroup): string =>
  things.length === 1 ? withArticle(lookOf(first)) : `${numberWord(things.length)} ${lookOf(first, first.plural)}`;
