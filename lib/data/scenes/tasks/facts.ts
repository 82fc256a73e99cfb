/**
 * Many short questions about a scene, one after another: what a language model learns to look by. Numbers and sides tell nothing of
 * each other; a thing and its part have one colour in half of the cases; details call things by what else is true of them. An answer of
 * a word is a few of a hundred tokens among descriptions; here it is most of what is said, and looking is learned in some hundred steps.
 */
import { expressionFor, sidesOf } from '../expressions';
import { kinds, pluralOf } from '../kinds';
import type { SceneThing } from '../scene';
import { type Dialogue, middleOf, numberWord, partGroups, sentence, withArticle } from '../wording';
import { colorOf, end, groupPlurals, larger, partColorOf, patternOf } from './questions';
import type { Task } from './task';

type Turn = readonly [question: string, answer: string];

/** Questions of a sample. */
const most = 9;

/** Asks what `turnsOf` finds to ask, or for numbers, where a scene gives nothing else. */
const asking =
  (turnsOf: (dialogue: Dialogue) => readonly Turn[]): Task =>
  (dialogue) => {
    const found = turnsOf(dialogue);
    const turns = found.length > 0 ? found : turnsOfNumbers(dialogue);
    for (const [question, answer] of dialogue.chance.shuffled(turns).slice(0, most)) dialogue.turn(question, `${sentence(answer)}.`);
  };

/** How many there are, and whether there is any; no kind is asked for twice. */
const turnsOfNumbers = ({ scene, chance }: Dialogue): Turn[] => {
  const numberOf = (name: string) => scene.things.filter(({ kind }) => kind === name).length;
  const group = chance.is(0.4) ? chance.pick(Object.keys(groupPlurals) as (keyof typeof groupPlurals)[]) : undefined;
  const asked = chance.shuffled(kinds.filter((kind) => kind.group !== group));
  const several = asked.filter(({ name }) => numberOf(name) > 1);
  const single = asked.filter(({ name }) => numberOf(name) === 1);
  const absent = asked.filter(({ name }) => numberOf(name) === 0);
  const count = (plural: string, number: number): Turn => [`how many ${plural} are there?`, number === 0 ? 'none' : numberWord(number)];
  const counted = [...several, ...single.splice(0, several.length + 1), ...absent.splice(0, 1)];
  return [
    ...counted.map((kind) => count(pluralOf(kind), numberOf(kind.name))),
    ...(group ? [count(groupPlurals[group], scene.things.filter((thing) => thing.group === group).length)] : []),
    ...[...single, ...absent.slice(0, Math.max(1, single.length))].map(
      ({ name }): Turn => [`is there ${withArticle(name)}?`, numberOf(name) > 0 ? 'yes' : 'no'],
    ),
  ];
};

/** Colours and patterns, of things called by their kind alone, where there is one of it. */
const turnsOfLooks = ({ scene, chance }: Dialogue): Turn[] => {
  const single = scene.things.filter(({ kind }) => scene.things.filter((other) => other.kind === kind).length === 1);
  const worn = single.filter(({ kind }) => kind !== 'person');
  const parts = chance.shuffled(single).flatMap((thing): Turn[] => {
    const [part] = chance.shuffled(partGroups(thing, scene.leastArea).filter(({ color }) => color));
    return part ? [[`what colour ${part.isSeveral ? 'are' : 'is'} the ${part.name} of the ${thing.kind}?`, part.color as string]] : [];
  });
  return [
    ...worn.map(({ kind, color }): Turn => [`what colour is the ${kind}?`, color]),
    ...worn.map(({ kind, pattern = 'plain' }): Turn => [`is the ${kind} plain, striped, dotted or checked?`, pattern]),
    ...parts.slice(0, 4),
  ];
};

/** Of each thing, by whatever words mean it alone, its colour, its pattern or the colour of a part; which of two is bigger; what is at an end. */
const turnsOfDetails = ({ scene, chance }: Dialogue): Turn[] => {
  const asked = [colorOf, colorOf, patternOf, partColorOf];
  const turns = [
    ...chance.shuffled(scene.things).map((thing) => chance.pick(thing.kind === 'person' ? [partColorOf] : asked)(thing, scene, chance)),
    ...[larger, larger, end].map((ask) => ask(scene, chance)),
  ];
  return [...new Map(turns.flatMap((turn) => (turn ? [turn] : [])))];
};

/** On which side of the picture each thing is, or of the next: each named by the fewest words. */
const turnsOfPlaces = ({ scene, chance }: Dialogue): Turn[] => {
  const named = chance.shuffled(scene.things).flatMap((thing) => {
    const found = expressionFor(scene, thing, chance, { isShort: true });
    return found ? [found] : [];
  });
  const x = (thing: SceneThing) => middleOf(thing, scene)[0];
  const besides = named.slice(1).flatMap((b, i): Turn[] => {
    const a = named[i] as (typeof named)[number];
    const apart = x(a.thing) - x(b.thing);
    return Math.abs(apart) < 0.1 ? [] : [[`is ${a.text} left or right of ${b.text}?`, apart < 0 ? 'left' : 'right']];
  });
  const sides = named.flatMap(({ text, thing }) => sidesOf(scene, thing).map((side): Turn => [`where is ${text}?`, side.text]));
  return besides.length > 0 && (sides.length === 0 || chance.is(0.7)) ? besides : sides;
};

export const numbers: Task = asking(turnsOfNumbers);
export const looks: Task = asking(turnsOfLooks);
export const details: Task = asking(turnsOfDetails);
export const places: Task = asking(turnsOfPlaces);
