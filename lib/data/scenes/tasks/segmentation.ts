/** Tasks that ask for masks: referring, generic, multiple, empty, reasoning. */
import { colorNames } from '../colors';
import { kinds } from '../kinds';
import { heldOutColor } from '../layout';
import type { SceneThing } from '../scene';
import type { Dialogue } from '../wording';
import { inOrder, listed, lookOf, marked, numberWord, partGroups, type Said, withArticle } from '../wording';
import { everyOne, subjectsOf, type Target, type Task, targetsOf } from './task';

const picture = '(| in this picture| in the picture| in this image)';
const verb = '(segment|mark|outline|find|highlight)';
const askFor = (what: string) =>
  `((please |)${verb} ${what}${picture}.|(can|could) you ${verb} ${what}${picture}?|(show me|give me) the mask of ${what}.|I (want|need) ${what} (marked|cut out).|(which|what) pixels are ${what}?)`;

const saidTargets = (targets: readonly Target[]): Said[] => listed(targets.map(({ text, of }) => marked(text, ...of)));

export const refer: Task = (dialogue) => {
  const targets = targetsOf(dialogue, { parts: 0.28 });
  const turns = dialogue.chance.is(0.7) ? 1 : 1 + dialogue.chance.below(3);
  for (const { text, of } of targets.slice(0, turns)) dialogue.turn(askFor(text), 'Sure, ', marked(text, ...of), '.');
};

export const semantic: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const classes = new Map<string, Target['of']>();
  for (const { kind } of scene.things)
    classes.set(
      kind,
      scene.things.filter((thing) => thing.kind === kind),
    );
  for (const region of scene.regions) if (region.area >= scene.leastArea) classes.set(region.name, [region]);
  if (chance.is(0.25)) {
    const thing = chance.pick(subjectsOf(scene));
    const part = chance.shuffled(partGroups(thing, scene.leastArea).filter(({ isSeveral }) => !isSeveral))[0];
    const name = part && `${thing.kind} ${part.name}`;
    if (name) {
      const alike = scene.things.filter(({ kind }) => kind === thing.kind).flatMap(({ parts }) => parts);
      classes.delete(thing.kind); // which has these pixels too
      classes.set(
        name,
        alike.filter((one) => one.name === part.name),
      );
    }
  }
  const names = chance.shuffled([...classes.keys()]).slice(0, chance.is(0.6) ? 1 : 3);
  const several = names.length > 1;
  const list = listed(names).join('');
  const question = several
    ? `(please |)(segment|mark|label) the classes ${list}.|(do|make) a semantic segmentation of ${list}.`
    : `(please |)(segment|mark|label) (the class|everything of the class|all pixels of the class) ${list}.|(do|make) a semantic segmentation of ${list}.|(which|what) pixels belong to the class ${list}?`;
  dialogue.turn(`(${question})`, 'Sure, ', ...listed(names.map((name) => marked(name, ...(classes.get(name) as Target['of'])))), '.');
};

export const instance: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const subjects = subjectsOf(scene);
  const repeated = subjects.filter(({ kind }) => scene.things.filter((other) => other.kind === kind).length > 1);
  const { kind, plural } = chance.pick(repeated.length > 0 && chance.is(0.75) ? repeated : subjects);
  const things = inOrder(scene.things).filter((thing) => thing.kind === kind);
  dialogue.turn(
    `((please |)(segment|mark|outline) (each|every) ${kind} (separately|on its own|as one instance).|(do|make) an instance segmentation of (the|all) ${plural}.|(can|could) you (segment|mark|outline) the ${plural} one by one?)`,
    'Sure, ',
    ...listed(numbered(things).map(([name, thing]) => marked(name, thing))),
    '.',
  );
};

export const panoptic: Task = (dialogue) => {
  const { scene } = dialogue;
  const regions = scene.regions.filter(({ area }) => area >= scene.leastArea);
  const things = inOrder(scene.things);
  const byKind = [...new Set(things.map(({ kind }) => kind))].flatMap((kind) => numbered(things.filter((thing) => thing.kind === kind)));
  dialogue.turn(
    '(Can you segment all the objects in the image?|(please |)(segment|mark) (everything|all things and regions)( in the (image|picture)|).|(do|make) a panoptic segmentation.)',
    'Sure, the image contains ',
    ...listed([...regions.map((region) => marked(region.name, region)), ...byKind.map(([name, thing]) => marked(name, thing))]),
    '.',
  );
};

/** `car`, or where there are several `car-1`, `car-2`. */
const numbered = (things: readonly SceneThing[]): [string, SceneThing][] =>
  things.map((thing, i) => [things.length === 1 ? thing.kind : `${thing.kind}-${i + 1}`, thing]);

export const multiple: Task = (dialogue) => {
  const { chance } = dialogue;
  const targets = manyTargets(dialogue).slice(0, 2 + chance.below(2));
  dialogue.turn(askFor(listed(targets.map(({ text }) => text)).join('')), 'Sure, ', ...saidTargets(targets), '.');
};

/** Several targets that share nothing; at least two. */
function manyTargets(dialogue: Dialogue): Target[] {
  const { scene, chance } = dialogue;
  const taken = new Set<number>();
  const apart = ({ of }: Target) => {
    const labels = of.flatMap((one) => [...one.labels]);
    const isFree = labels.every((label) => !taken.has(label));
    if (isFree) for (const label of labels) taken.add(label);
    return isFree;
  };
  const regions = scene.regions
    .filter(({ area }) => area >= scene.leastArea)
    .map((region) => ({ text: `the ${region.name}`, of: [region] }));
  const groups = subjectsOf(scene).flatMap(({ kind, plural }): Target[] => {
    const of = scene.things.filter((thing) => thing.kind === kind);
    return of.length > 1 ? [{ text: `the ${numberWord(of.length)} ${plural}`, of }] : [];
  });
  const first = chance.shuffled([...targetsOf(dialogue, { parts: 0.2 }), ...(chance.is(0.6) ? groups : [])]).filter(apart);
  const more = chance.shuffled(regions).filter(apart);
  return chance.is(0.25) || first.length < 2 ? [...first.slice(0, 2), ...more] : [...first, ...more];
}

export const empty: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const absent = absentOf(dialogue);
  const partly = chance.is(0.45);
  if (!partly) {
    const [name] = absent as [string];
    dialogue.turn(askFor(`the ${name}`), `Sorry, I don't see any ${name} in this image.`);
    return;
  }
  const missing = absent.slice(0, chance.is(0.7) ? 1 : 2);
  const present = chance.is(0.6) ? targetsOf(dialogue, { parts: 0.1 }) : [everyOne(scene, chance.pick(subjectsOf(scene)))];
  const there = present.slice(0, chance.is(0.7) ? 1 : 2);
  const names = chance.shuffled([...missing.map((name) => `the ${name}`), ...there.map(({ text }) => text)]);
  const inOrderAsked = [...there].sort((a, b) => names.indexOf(a.text) - names.indexOf(b.text));
  const gone = [...missing].sort((a, b) => names.indexOf(`the ${a}`) - names.indexOf(`the ${b}`));
  dialogue.turn(
    askFor(listed(names).join('')),
    'Sure, ',
    ...saidTargets(inOrderAsked),
    `. But I don't see any ${listed(gone, 'or').join('')} in this image.`,
  );
};

/** Names of what is not there; pairs of colour and kind that only the split `unseen` shows are never among them. */
export function absentOf({ scene, chance }: Pick<Dialogue, 'scene' | 'chance'>): string[] {
  const present = new Set(scene.things.map(({ kind }) => kind));
  const others = chance.shuffled(kinds.filter(({ name }) => !present.has(name))).slice(0, 3);
  const absent = others.map((kind) => {
    const color = chance.pick(colorNames.filter((name) => name !== heldOutColor(kind)));
    return lookOf({ kind: kind.name, color: chance.is(0.3) ? color : undefined });
  });
  const near = chance.pick(scene.things);
  const colors = colorNames.filter(
    (color) =>
      color !== heldOutColor({ name: near.kind }) && scene.things.every((thing) => thing.kind !== near.kind || thing.color !== color),
  );
  if (colors.length > 0 && chance.is(0.4)) absent.unshift(lookOf({ kind: near.kind, color: chance.pick(colors) }));
  return absent;
}

export const reason: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const subject = chance.pick(subjectsOf(scene));
  const alike = scene.things.filter(({ group }) => group === subject.group);
  if (chance.is(0.25) && subject.group && subject.group !== 'person') {
    const answer = [...new Set(inOrder(alike).map(({ kind }) => kind))].map((kind) => byKind(scene.things, kind));
    dialogue.turn(
      `(what (here |)is ${withArticle(subject.group)}?|(mark|segment|find) whatever is ${withArticle(subject.group)}.|is there ${withArticle(subject.group)}? (mark|segment) it.)`,
      thatIs(alike),
      ...listed(answer),
      '.',
    );
    return;
  }
  const use = chance.pick(subject.uses);
  const same = scene.things.filter(({ kind }) => kind === subject.kind);
  dialogue.turn(
    `((what|which of these things) (in this (picture|image) |)could ${use}?( (segment|mark) it(|, please).|)|(find|mark|segment) (something|the thing) that could ${use}.)`,
    thatIs(same),
    byKind(same, subject.kind),
    '.',
  );
};

const thatIs = ({ length }: readonly SceneThing[]) => (length === 1 ? 'That is ' : 'Those are ');

/** `the two cars`, with one mask. */
function byKind(things: readonly SceneThing[], kind: string): Said {
  const of = things.filter((thing) => thing.kind === kind);
  return marked(of.length === 1 ? `the ${kind}` : `the ${numberWord(of.length)} ${of[0]?.plural}`, ...of);
}
