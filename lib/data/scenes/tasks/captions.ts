/** Tasks that describe: captions, with and without masks, from the whole scene down to the parts of a thing. */
import { expressionFor, extremesOf, sidesOf } from '../expressions';
import type { Scene, SceneThing } from '../scene';
import {
  groupName,
  joined,
  listed,
  lookalikes,
  lookOf,
  marked,
  numberWord,
  partGroups,
  plain,
  type Said,
  sentence,
  type ThingGroup,
  withArticle,
} from '../wording';
import { subjectsOf, type Task } from './task';

const places = {
  meadow: 'a meadow',
  beach: 'a beach',
  street: 'a street',
  snow: 'a field of snow',
  lake: 'a lake',
  room: 'a room',
} as const;

/** `in a meadow`, as an answer to where. */
export const settingPhrase = ({ setting }: Scene): string =>
  ({ meadow: 'in a meadow', beach: 'on a beach', street: 'in a street', snow: 'in the snow', lake: 'at a lake', room: 'in a room' })[
    setting
  ];

/** Where a thing is; a group is where its first is. */
function placePhrase(scene: Scene, { first, things }: ThingGroup): string {
  const under = first.on === undefined ? undefined : scene.things[first.on];
  if (under && things.every(({ on }) => on === under.id)) {
    const isOnly = scene.things.filter(({ kind }) => kind === under.kind).length === 1;
    return isOnly ? ` on the ${under.kind}` : ` on ${withArticle(under.kind)}`;
  }
  if (first.place === 'sky' && things.every(({ place }) => place === 'sky')) return ' in the sky';
  if (things.length > 1) return '';
  const [side] = sidesOf(scene, first);
  return side ? ` ${side.text}` : '';
}

/** `There is a red car on the left and two trees.` */
function thingsSaid(scene: Scene): Said[] {
  const groups = lookalikes(scene.things);
  const isOne = groups[0]?.things.length === 1;
  const items = groups.map((group): Said[] => [marked(groupName(group), ...group.things), placePhrase(scene, group)]);
  return [
    `There ${isOne ? 'is' : 'are'} `,
    ...items.flatMap((item, i) => (i === 0 ? item : [i === items.length - 1 ? ' and ' : ', ', ...item])),
    '.',
  ];
}

/** Regions with their colours. */
function regionsSaid(scene: Scene): Said[] {
  const regions = scene.regions.filter(({ area }) => area >= scene.leastArea);
  return listed(regions.map((region) => marked(`the ${region.color ? `${region.color} ` : ''}${region.name}`, region)));
}

const short = 'in (one sentence|a few words)';
const shown = '(the|this) (picture|image|scene)';

export const caption: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  if (chance.is(0.5)) {
    const names = lookalikes(scene.things).map(groupName);
    const text = `${places[scene.setting]} with ${listed(names).join('')}`;
    dialogue.turn(
      `((please |)describe ${shown} ${short}.|(give|write) a (short|brief) caption(| of ${shown}).|what does ${shown} show, ${short}?)`,
      `${sentence(text)}.`,
    );
    return;
  }
  const text = plain([`This is ${places[scene.setting]}. `, ...thingsSaid(scene)]);
  dialogue.turn(
    `((please |)describe ${shown} (in detail|fully).|(give|write) a (long|detailed) (caption|description) of ${shown}.|what (is|can you see) in ${shown}?)`,
    text,
  );
};

const interleaved = '(please |)(respond|answer) with (interleaved |)(segmentation |)masks( for the corresponding parts of the answer|).';

export const gcg: Task = (dialogue) => {
  const { scene } = dialogue;
  dialogue.turn(
    `((please |)describe ${shown}.|what (is|can you see) in ${shown}?|(give|write) a description of ${shown}.) ${interleaved}`,
    `This is ${places[scene.setting]} with `,
    ...listed(lookalikes(scene.things).map((group) => marked(groupName(group), ...group.things))),
    '.',
  );
};

export const mgsc: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  const described = chance.shuffled(subjectsOf(scene)).flatMap((thing) => {
    const name = expressionFor(scene, thing, chance, { isShort: chance.is(0.5) });
    return name && partGroups(thing, scene.leastArea).length > 1 ? [{ thing, name: name.text }] : [];
  });
  const [one] = described;
  const only = one ? chance.weighted([2, 1, 1.4]) : 1; // both, the whole, the parts
  if (only !== 2)
    dialogue.turn(
      `(please provide a detailed description of all the objects present in this image in a comprehensive format.|(please |)describe (everything|all objects|all things) in ${shown}.) ${interleaved}`,
      ...rootSaid(scene),
    );
  if (one && only !== 1)
    dialogue.turn(
      `(can you provide a detailed description in a comprehensive format for ${one.name} in the image.|(please |)describe ${one.name} and (its|the) parts.|what (parts does ${one.name} have|is ${one.name} made of)?) ${interleaved}`,
      ...subtreeSaid(scene, one.thing, one.name),
    );
};

/** All there is to see, one turn for the regions and one or two for each thing that words mean alone: what vision is trained by before there are questions. */
export const everything: Task = (dialogue) => {
  const { scene, chance } = dialogue;
  dialogue.turn(`describe the regions in ${shown}. ${interleaved}`, ...regionsSaid(scene), '.');
  const looks = lookalikes(scene.things);
  for (const thing of scene.things) {
    const isAlone = looks.some(({ first, things }) => first === thing && things.length === 1);
    const name = isAlone ? `the ${lookOf(thing)}` : expressionFor(scene, thing, chance)?.text;
    if (name === undefined) continue;
    dialogue.turn(`describe ${name}. ${interleaved}`, marked(allOf(scene, thing), thing), '.');
    if (partGroups(thing, scene.leastArea).length > 1)
      dialogue.turn(`describe ${name} and its parts. ${interleaved}`, ...subtreeSaid(scene, thing, name));
  }
};

/** `the striped red cat on the left, the leftmost and largest of two cats, the leftmost thing`. */
function allOf(scene: Scene, thing: SceneThing): string {
  const { kind, plural } = thing;
  const alike = scene.things.filter((other) => other.kind === kind);
  const number = numberWord(alike.length);
  const most = (among: readonly SceneThing[]) => listed(extremesOf(scene, thing, among)).join('');
  const sides = sidesOf(scene, thing).map(({ text }) => ` ${text}`);
  const ofKind = alike.length === 1 ? `${number} ${kind}` : `${most(alike) === '' ? 'one' : `the ${most(alike)}`} of ${number} ${plural}`;
  const ofAll = most(scene.things) === '' ? '' : `, the ${most(scene.things)} thing`;
  return `the ${lookOf(thing)}${sides.join('')}, ${ofKind}${ofAll}`;
}

/** The whole scene: all things, then what is around them. */
export const rootSaid = (scene: Scene): Said[] =>
  joined([thingsSaid(scene), [`Around ${scene.things.length > 1 ? 'them' : 'it'} are `, ...regionsSaid(scene), '.']]);

/** A thing and its parts. */
export function subtreeSaid(scene: Scene, thing: SceneThing, name: string): Said[] {
  const groups = partGroups(thing, scene.leastArea);
  const items = groups.map((group) => {
    const noun = `${group.color ? `${group.color} ` : ''}${group.name}`;
    return marked(group.isSeveral ? noun : withArticle(noun), group);
  });
  return [`${sentence(name)} has `, ...listed(items), '.'];
}
