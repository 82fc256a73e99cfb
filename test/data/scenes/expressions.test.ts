/** Referring expressions, compared with every thing of the scene. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { Chance } from '../../../lib/data/scenes/chance';
import { colorNames } from '../../../lib/data/scenes/colors';
import { expressionFor } from '../../../lib/data/scenes/expressions';
import { makeScene } from '../../../lib/data/scenes/scene';
import { colors, kindNames, meant } from './meant';

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
