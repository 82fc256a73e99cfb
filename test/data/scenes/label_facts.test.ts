import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { colorNames } from '../../../lib/data/scenes/colors';
import { factNames, factSizes, labelFacts } from '../../../lib/data/scenes/label_facts';
import { pixelClassNames } from '../../../lib/data/scenes/pixel_classes';
import { makeScene } from '../../../lib/data/scenes/scene';
import { middleOf } from '../../../lib/data/scenes/wording';

const patterns = ['plain', 'striped', 'dotted', 'checked'];
const groups = ['animal', 'vehicle', 'plant', 'building'];

test('of each label of a scene all that is true of it is known, as classes that there are', () => {
  const told = new Map<string, Set<number>>(factNames.map((name) => [name, new Set()]));
  for (let index = 0; index < 60; index++) {
    const scene = makeScene({ seed: 5, split: 'train', index, size: 128 });
    const facts = labelFacts(scene);
    for (const label of new Set(scene.labels)) assert.ok(facts.has(label), `label ${label} of scene ${index}`);
    for (const region of scene.regions)
      for (const label of region.labels) assert.deepEqual(facts.get(label), { kind: pixelClassNames.kind.indexOf(region.name) });
    for (const thing of scene.things) {
      const alike = scene.things.filter(({ kind }) => kind === thing.kind);
      const grouped = scene.things.filter(({ group }) => group === thing.group).length;
      const x = (other: typeof thing) => middleOf(other, scene)[0];
      for (const part of thing.parts) {
        const of = facts.get(part.labels[0] as number) ?? {};
        assert.equal(pixelClassNames.kind[of.kind as number], thing.kind);
        assert.equal(colorNames[of.color as number], thing.color);
        assert.equal(patterns[of.pattern as number], thing.pattern ?? 'plain');
        const colors = pixelClassNames.color.length;
        assert.equal(pixelClassNames.part[Math.floor((of.part as number) / colors)], part.name);
        assert.equal(pixelClassNames.color[(of.part as number) % colors], part.color ?? 'background');
        assert.equal(of.number, alike.length - 1);
        const isCounted = groups.includes(thing.group ?? '');
        assert.equal(of.groupNumber, isCounted ? groups.indexOf(thing.group as string) * 8 + grouped - 1 : undefined);
        for (const [among, suffix] of [
          [alike, 'OfKind'],
          [scene.things, ''],
        ] as const) {
          const others = among.filter((other) => other !== thing);
          const truth = {
            leftmost: others.every((other) => x(other) > x(thing) + 0.08),
            rightmost: others.every((other) => x(other) < x(thing) - 0.08),
            largest: others.every(({ area }) => thing.area > 1.5 * area),
            smallest: others.every(({ area }) => 1.5 * thing.area < area),
          };
          for (const [end, is] of Object.entries(truth)) {
            const found = of[`${end}${suffix}` as keyof typeof of];
            assert.equal(found, others.length > 0 ? Number(is) : suffix === '' ? 0 : undefined, `${end}${suffix} of scene ${index}`);
          }
        }
        for (const [name, value] of Object.entries(of)) told.get(name)?.add(value);
      }
    }
  }
  for (const name of factNames) {
    const classes = [...(told.get(name) ?? [])];
    assert.ok(classes.length > 1 && classes.every((value) => Number.isInteger(value) && value < factSizes[name]), name);
  }
});
