/** Conversation: short questions with exact answers. */
import type { Chance } from '../chance';
import { expressionFor } from '../expressions';
import { kinds, pluralOf } from '../kinds';
import type { Scene, SceneThing } from '../scene';
import { groupName, inOrder, listed, lookalikes, lookOf, middleOf, numberWord, partGroups, sentence, withArticle } from '../wording';
import { settingPhrase } from './captions';
import { subjectsOf, type Task } from './task';

/** A question, and its answer without the period; undefined where the scene gives none. */
type Ask = (scene: Scene, chance: Chance) => readonly [question: string, answer: string] | undefined;

/** Groups of kinds that are counted. */
export const groupPlurals = { animal: 'animals', vehicle: 'vehicles', plant: 'plants', building: 'buildings' } as const;

const there = '(| in this picture| in the picture| here)';

const count: Ask = (scene, chance) => {
  const absent = kinds.filter(({ name }) => scene.things.every(({ kind }) => kind !== name));
  const { name, plural } = chance.is(0.12)
    ? ((kind) => ({ name: kind.name, plural: pluralOf(kind) }))(chance.pick(absent))
    : ((thing) => ({ name: thing.kind, plural: thing.plural }))(chance.pick(scene.things));
  const found = scene.things.filter(({ kind }) => kind === name).length;
  return [`how many ${plural} (are there${there}|can you see${there})?`, found === 0 ? 'none' : numberWord(found)];
};

const countGroup: Ask = (scene, chance) => {
  const name = chance.pick(Object.keys(groupPlurals) as (keyof typeof groupPlurals)[]);
  const found = scene.things.filter(({ group }) => group === name).length;
  return [`how many ${groupPlurals[name]} (are there${there}|can you see${there})?`, found === 0 ? 'none' : numberWord(found)];
};

/** As `Ask`, about one thing. */
type AskOf = (thing: SceneThing, ...of: Parameters<Ask>) => ReturnType<Ask>;

const about =
  (ask: AskOf): Ask =>
  (scene, chance) =>
    ask(chance.pick(subjectsOf(scene)), scene, chance);

export const colorOf: AskOf = (thing, scene, chance) => {
  const found = thing.kind !== 'person' && expressionFor(scene, thing, chance, { without: 'color' });
  return found ? [`(what colour is|which colour has) ${found.text}?`, thing.color] : undefined;
};

export const partColorOf: AskOf = (thing, scene, chance) => {
  const found = expressionFor(scene, thing, chance, { isShort: true, without: 'color' });
  const part = chance.shuffled(partGroups(thing, scene.leastArea).filter((group) => group.color))[0];
  return found && part && [`what colour ${part.isSeveral ? 'are' : 'is'} the ${part.name} of ${found.text}?`, part.color as string];
};

export const patternOf: AskOf = (thing, scene, chance) => {
  const found = thing.kind !== 'person' && expressionFor(scene, thing, chance, { without: 'pattern' });
  return found
    ? [`is ${found.text} (plain, striped, dotted or checked|striped, dotted, checked or plain)?`, thing.pattern ?? 'plain']
    : undefined;
};

const pattern: Ask = (scene, chance) => {
  const patterned = subjectsOf(scene).filter((thing) => thing.pattern);
  const thing = chance.pick(patterned.length > 0 && chance.is(0.7) ? patterned : subjectsOf(scene));
  return patternOf(thing, scene, chance);
};

const side: Ask = (scene, chance) => {
  const [a, b] = chance.shuffled(scene.things);
  if (!a || !b) return undefined;
  const [nameA, nameB] = [a, b].map((thing) => expressionFor(scene, thing, chance, { isShort: true })?.text);
  const apart = middleOf(a, scene)[0] - middleOf(b, scene)[0];
  if (nameA === undefined || nameB === undefined || Math.abs(apart) < 0.1) return undefined;
  return [`is ${nameA} (left or right|to the left or to the right) of ${nameB}?`, apart < 0 ? 'left' : 'right'];
};

const exists: Ask = (scene, chance) => {
  const isThere = chance.is(0.5);
  const absent = kinds.filter(({ name }) => scene.things.every(({ kind }) => kind !== name));
  const name = isThere ? chance.pick(scene.things).kind : chance.pick(absent).name;
  return [`(is there|can you see) ${withArticle(name)}${there}?`, isThere ? 'yes' : 'no'];
};

const where: Ask = (scene) => ['(where is this|what place is this|where was this picture made)?', settingPhrase(scene)];

const onTable: Ask = (scene) => {
  const tables = scene.things.filter(({ kind }) => kind === 'table');
  if (tables.length !== 1) return undefined;
  const groups = lookalikes(scene.things.filter(({ on }) => on === tables[0]?.id));
  return ['what (is|stands) on the table?', groups.length === 0 ? 'nothing' : listed(groups.map(groupName)).join('')];
};

export const end: Ask = (scene, chance) => {
  const things = inOrder(scene.things);
  const isLeft = chance.is(0.5);
  const [last, next] = isLeft ? things : [...things].reverse();
  if (!last || !next || Math.abs(middleOf(last, scene)[0] - middleOf(next, scene)[0]) < 0.08) return undefined;
  return [
    `what is (furthest to the ${isLeft ? 'left' : 'right'}|the ${isLeft ? 'leftmost' : 'rightmost'} thing)?`,
    withArticle(lookOf(last)),
  ];
};

export const larger: Ask = (scene, chance) => {
  const [a, b] = chance.shuffled(scene.things);
  if (!a || !b || Math.max(a.area, b.area) < 1.6 * Math.min(a.area, b.area)) return undefined;
  const [nameA, nameB] = [a, b].map((thing) => expressionFor(scene, thing, chance, { isShort: true })?.text);
  return nameA && nameB ? [`which is (larger|bigger)${there}, ${nameA} or ${nameB}?`, a.area > b.area ? nameA : nameB] : undefined;
};

const questions: readonly (readonly [Ask, number])[] = [
  [count, 3],
  [countGroup, 1],
  [about(colorOf), 3],
  [about(partColorOf), 2],
  [pattern, 1.5],
  [side, 2],
  [exists, 1.5],
  [where, 0.7],
  [onTable, 2],
  [end, 1.5],
  [larger, 1],
];

export const conversation: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const turns = chance.pick([1, 1, 2, 3]);
  const asked = new Set<Ask>();
  while (dialogue.conversation.length < turns) {
    const rest = questions.filter(([ask]) => !asked.has(ask));
    const [ask] = rest[chance.weighted(rest.map(([, weight]) => weight))] as (typeof questions)[number];
    asked.add(ask);
    const found = ask(scene, chance);
    if (found) dialogue.turn(found[0], `${sentence(found[1])}.`);
  }
};
