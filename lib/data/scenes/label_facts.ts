/** What is known of each label of a scene, as class numbers: what vision can be asked for wherever the label is seen. */
import { colorNames } from './colors';
import { extremesOf } from './expressions';
import { patternNames } from './layout';
import { pixelClassNames } from './pixel_classes';
import type { Scene, SceneThing } from './scene';
import { groupPlurals } from './tasks/questions';

const { kind: kindNames, color: partColors, part: partNames } = pixelClassNames;
const groupNames = Object.keys(groupPlurals);
const lookNames = ['plain', ...patternNames] as const;
const ends = ['leftmost', 'rightmost', 'largest', 'smallest'] as const;

/** Numbers from 1 to the most that are told apart. */
const numbers = 8;

/** Classes of each fact. */
export const factSizes = {
  /** As `pixelClassNames.kind`: the one fact that regions have as well. */
  kind: kindNames.length,
  color: colorNames.length,
  pattern: lookNames.length,
  /** The name of the part with its own colour. */
  part: partNames.length * partColors.length,
  /** How many there are of its kind. */
  number: numbers,
  /** Its group, of those that are counted, with how many there are of it. */
  groupNumber: groupNames.length * numbers,
  /** Whether it is so among several of its kind. */
  leftmostOfKind: 2,
  rightmostOfKind: 2,
  largestOfKind: 2,
  smallestOfKind: 2,
  /** Among all things. */
  leftmost: 2,
  rightmost: 2,
  largest: 2,
  smallest: 2,
} as const;

export type FactName = keyof typeof factSizes;
export const factNames = Object.keys(factSizes) as readonly FactName[];

/** A class below `factSizes` for each fact that the label tells something of. */
export type LabelFacts = Readonly<Partial<Record<FactName, number>>>;

/** Of every label that `scene.labels` may have. */
export function labelFacts(scene: Scene): ReadonlyMap<number, LabelFacts> {
  const facts = new Map<number, LabelFacts>();
  for (const { name, labels } of scene.regions) for (const label of labels) facts.set(label, { kind: kindNames.indexOf(name) });
  for (const thing of scene.things) {
    const whole = factsOf(scene, thing);
    for (const { name, color = 'background', labels } of thing.parts) {
      const part = partNames.indexOf(name) * partColors.length + partColors.indexOf(color);
      for (const label of labels) facts.set(label, { ...whole, part });
    }
  }
  return facts;
}

function factsOf(scene: Scene, thing: SceneThing): LabelFacts {
  const { kind, color, pattern = 'plain', group = '' } = thing;
  const alike = scene.things.filter((other) => other.kind === kind);
  const [ofKind, ofAll] = [alike, scene.things].map((among) => extremesOf(scene, thing, among)) as [string[], string[]];
  const upTo = (things: readonly SceneThing[]) => Math.min(numbers, things.length) - 1;
  const grouped = scene.things.filter((other) => other.group === group);
  return {
    kind: kindNames.indexOf(kind),
    color: colorNames.indexOf(color),
    pattern: lookNames.indexOf(pattern),
    number: upTo(alike),
    ...(groupNames.includes(group) ? { groupNumber: groupNames.indexOf(group) * numbers + upTo(grouped) } : {}),
    ...Object.fromEntries(ends.map((end) => [end, Number(ofAll.includes(end))])),
    ...(alike.length > 1 ? Object.fromEntries(ends.map((end) => [`${end}OfKind`, Number(ofKind.includes(end))])) : {}),
  };
}
