/**
 * Many short questions about a scene, one after another: what a language model learns to look by. A thing is called by its kind alone,
 * where there is one of it, so that no question tells a colour, a pattern or a part's colour that another asks for; that there is one
 * of what it names, it does tell. An answer of a word is a few of a hundred tokens among descriptions; here it is most of what is
 * said, and looking is learned in some hundred steps.
 */
import { sidesOf } from '../expressions';
import { kinds, pluralOf } from '../kinds';
import type { SceneThing } from '../scene';
import { middleOf, numberWord, partGroups, sentence, withArticle } from '../wording';
import type { Task } from './task';

type Turn = readonly [question: string, answer: string];

/** Questions of a sample. */
const most = 9;

export const facts: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const numberOf = (name: string) => scene.things.filter(({ kind }) => kind === name).length;
  const single = chance.shuffled(scene.things.filter(({ kind }) => numberOf(kind) === 1));
  const absent = chance.shuffled(kinds.filter(({ name }) => numberOf(name) === 0)).slice(0, 4);
  const present = kinds.filter(({ name }) => numberOf(name) > 0);
  const colored = single.filter(({ kind }) => kind !== 'person');

  const counted = (kind: (typeof kinds)[number]): Turn => {
    const number = numberOf(kind.name);
    return [`how many ${pluralOf(kind)} are there?`, number === 0 ? 'none' : numberWord(number)];
  };
  const parts = single.flatMap((thing): Turn[] => {
    const [part] = chance.shuffled(partGroups(thing, scene.leastArea).filter(({ color }) => color));
    return part ? [[`what colour ${part.isSeveral ? 'are' : 'is'} the ${part.name} of the ${thing.kind}?`, part.color as string]] : [];
  });
  const sides = single.flatMap((thing, i): Turn[] => {
    const mark = single[(i + 1) % single.length] as SceneThing;
    const apart = middleOf(thing, scene)[0] - middleOf(mark, scene)[0];
    return Math.abs(apart) < 0.1 ? [] : [[`is the ${thing.kind} left or right of the ${mark.kind}?`, apart < 0 ? 'left' : 'right']];
  });
  const turns: Turn[] = [
    ...colored.map(({ kind, color }): Turn => [`what colour is the ${kind}?`, color]),
    ...colored.map(({ kind, pattern = 'plain' }): Turn => [`is the ${kind} plain, striped, dotted or checked?`, pattern]).slice(0, 2),
    ...single.flatMap((thing) => sidesOf(scene, thing).map(({ text }): Turn => [`where is the ${thing.kind}?`, text])).slice(0, 2),
    ...parts.slice(0, 3),
    ...sides.slice(0, 3),
    ...[...present, ...absent.slice(0, 2)].map(counted),
    ...chance
      .shuffled([...present.slice(0, 2), ...absent.slice(2)])
      .map(({ name }): Turn => [`is there ${withArticle(name)}?`, numberOf(name) > 0 ? 'yes' : 'no']),
  ];
  for (const [question, answer] of chance.shuffled(turns).slice(0, most)) dialogue.turn(question, `${sentence(answer)}.`);
};
