/** Referring expressions, read by a grammar of their own and compared with every thing of the scene. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { Chance } from '../../../lib/data/scenes/chance';
import { colorNames } from '../../../lib/data/scenes/colors';
import { expressionFor } from '../../../lib/data/scenes/expressions';
import { kinds } from '../../../lib/data/scenes/kinds';
import { makeScene, type Scene, type SceneThing } from '../../../lib/data/scenes/scene';
import { rleBox } from '../../../lib/image/rle';

const [colors, kindNames, patterns] = [colorNames.join('|'), kinds.map(({ name }) => name).join('|'), 'striped|dotted|checked'];
const noun = `(?:(?<pattern>${patterns}) )?(?:(?<color>${colors}) )?(?<kind>${kindNames})(?: in (?:(?<patternWorn>${patterns}) )?(?<colorWorn>${colors}))?`;
const grammar = new RegExp(
  `^the (?:(?<most>leftmost|rightmost|largest|smallest) )?${noun}(?: (?<place>on the left|on the right|in the middle)| (?<relation>left of|right of|above|on) the (?<mark>.+))?$`,
);

/** What a text may mean, read loosely: also things of which one might say so. */
function meant(scene: Scene, text: string): SceneThing[] {
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

test('fit the thing that is meant and nothing else', () => {
  const said = new Set<string>();
  let [asked, answered] = [0, 0];
  for (let index = 0; index < 200; index++) {
    const scene = makeScene({ seed: 5, split: index % 2 ? 'train' : 'unseen', index, size: 96 });
    for (const thing of scene.things) {
      for (let i = 0; i < 4; i++) {
        const found = expressionFor(scene, thing, new Chance(index, thing.id, i), { isShort: i === 3 });
        asked++;
        if (!found) continue;
        answered++;
        said.add(found.text.replace(new RegExp(`${colors}|${kindNames}`, 'g'), '_'));
        const things = meant(scene, found.text);
        assert.deepEqual(
          things.map(({ id }) => id),
          [thing.id],
          `${found.text} in scene ${index}`,
        );
      }
    }
  }
  assert.ok(answered > 0.95 * asked, `${answered} of ${asked}`);
  for (const form of [
    'leftmost',
    'rightmost',
    'largest',
    'smallest',
    'on the left',
    'in the middle',
    'right of the',
    'above the',
    'on the _',
    'checked',
  ])
    assert.ok(
      [...said].some((text) => text.includes(form)),
      `${form} was never said`,
    );
});

test('leave out what is asked for', () => {
  for (let index = 0; index < 100; index++) {
    const scene = makeScene({ seed: 6, split: 'train', index, size: 64 });
    for (const thing of scene.things) {
      const [name] = [expressionFor(scene, thing, new Chance(index), { without: 'color' })];
      const own = name?.text.split(/ (?:left of|right of|above|on) /)[0] ?? '';
      assert.ok(!colorNames.some((color) => own.split(' ').includes(color)), name?.text);
    }
  }
});
