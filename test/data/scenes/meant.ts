/** What phrases about scenes mean, read by a grammar of their own from the scene. */
import { strict as assert } from 'node:assert';
import { colorNames } from '../../../lib/data/scenes/colors';
import { kinds } from '../../../lib/data/scenes/kinds';
import type { Extent, Scene, SceneThing } from '../../../lib/data/scenes/scene';
import { lookOf, numberWord } from '../../../lib/data/scenes/wording';
import { rleBox } from '../../../lib/image/rle';

export const [colors, kindNames] = [colorNames.join('|'), kinds.map(({ name }) => name).join('|')] as const;
const patterns = 'striped|dotted|checked';
const noun = `(?:(?<pattern>${patterns}) )?(?:(?<color>${colors}) )?(?<kind>${kindNames})(?: in (?:(?<patternWorn>${patterns}) )?(?<colorWorn>${colors}))?`;
const grammar = new RegExp(
  `^the (?:(?<most>leftmost|rightmost|largest|smallest) )?${noun}(?: (?<place>on the left|on the right|in the middle)| (?<relation>left of|right of|above|on) the (?<mark>.+))?$`,
);

/** What a text may mean, read loosely: also things of which one might say so. */
export function meant(scene: Scene, text: string): SceneThing[] {
  const groups = grammar.exec(text)?.groups;
  assert.ok(groups, `${text} is not in the grammar`);
  const { most, kind, place, relation } = groups;
  const [color, pattern] = [groups.color ?? groups.colorWorn, groups.pattern ?? groups.patternWorn];
  const middle = (thing: SceneThing) => {
    const [x, y, width, height] = rleBox(scene.maskOf(thing));
    return [(x + width / 2) / scene.width, (y + height / 2) / scene.height] as const;
  };
  let found = scene.things.filter(
    (thing) =>
      thing.kind === kind && (color === undefined || thing.color === color) && (pattern === undefined || thing.pattern === pattern),
  );
  if (place)
    found = found.filter((thing) => {
      const [x] = middle(thing);
      return place === 'on the left' ? x < 0.43 : place === 'on the right' ? x > 0.57 : Math.abs(x - 0.5) < 0.15;
    });
  if (relation) {
    const marks = meant(scene, `the ${groups.mark}`);
    assert.equal(marks.length, 1, `${groups.mark} in ${text}`);
    const [mark] = marks as [SceneThing];
    const [x, y] = middle(mark);
    found = found.filter((thing) => {
      const [ownX, ownY] = middle(thing);
      if (thing === mark) return false;
      return { 'left of': ownX < x - 0.03, 'right of': ownX > x + 0.03, above: ownY < y - 0.05, on: thing.on === mark.id }[relation];
    });
  }
  if (!most) return found;
  assert.ok(found.length > 1, `${text}: there is one alone`);
  const measure = (thing: SceneThing) =>
    most === 'leftmost' ? -middle(thing)[0] : most === 'rightmost' ? middle(thing)[0] : most === 'largest' ? thing.area : -thing.area;
  return [found.reduce((a, b) => (measure(b) > measure(a) ? b : a))];
}

/** The one thing that an expression means. */
export function theOne(scene: Scene, text: string): SceneThing {
  const [thing, ...others] = meant(scene, text);
  assert.ok(thing && others.length === 0, `${text} in ${scene.key.index}`);
  return thing;
}

/** Parts of a thing by one name, in the singular or the plural. */
export function partsOf({ kind, parts }: SceneThing, name: string) {
  const found = parts.filter((part) => part.name === name || part.plural === name);
  assert.ok(found.length > 0, `${name} of ${kind}`);
  return found;
}

/** What the phrase of a mask means: a thing, parts of one, a region, several things of a kind or a look. */
export function shownBy(scene: Scene, phrase: string): readonly Pick<Extent, 'labels'>[] {
  const [, of, whole] = /^the (\S+) of (.+)$/.exec(phrase) ?? [];
  if (of) return partsOf(theOne(scene, whole as string), of);
  const [, owner, part] = /^(.+)'s (\S+)$/.exec(phrase) ?? [];
  if (part) return partsOf(theOne(scene, owner as string), part);
  const region = scene.regions.find(({ name, color }) => [`the ${name}`, `the ${color} ${name}`].includes(phrase));
  if (region) return [region];
  const several = scene.things.filter(({ plural }) => phrase === `all the ${plural}`);
  if (several.length > 1) return several;
  const [, number, look] = /^(?:the )?(\w+) (.+)$/.exec(phrase) ?? [];
  const isOne = /^an?$/.test(number as string);
  const alike = scene.things.filter((thing) => {
    const noun = isOne ? thing.kind : thing.plural;
    return lookOf(thing, noun) === look || (phrase.startsWith('the ') && noun === look);
  });
  return number === numberWord(alike.length) || (isOne && alike.length === 1) ? alike : [theOne(scene, phrase)];
}
