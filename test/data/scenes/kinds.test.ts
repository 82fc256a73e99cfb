/** What must hold of every kind, so that texts about it are right. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { regionNames } from '../../../lib/data/scenes/backgrounds';
import { Chance } from '../../../lib/data/scenes/chance';
import { colorNames } from '../../../lib/data/scenes/colors';
import { kinds } from '../../../lib/data/scenes/kinds';
import { heldOutColor } from '../../../lib/data/scenes/layout';
import { Pen } from '../../../lib/data/scenes/pen';

const words = (of: readonly string[]) => new Set(of.flatMap((name) => name.split(' ')));

test('there are many, each with a name of its own that is no part and no region', () => {
  assert.ok(kinds.length >= 24);
  assert.equal(colorNames.length, 10);
  const names = kinds.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const others = words([
    ...regionNames,
    ...kinds.flatMap(({ parts }) => Object.entries(parts).flatMap(([one, many = one]) => [one, many])),
  ]);
  assert.deepEqual(
    names.filter((name) => others.has(name)),
    [],
  );
});

test('each is drawn with 2 to 6 parts that it names, within its frame', () => {
  for (const { name, parts, width, draw } of kinds) {
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const pen = new Pen(new Chance(i), 'red', undefined);
      draw(pen);
      for (const part of pen.parts) {
        assert.ok(Object.hasOwn(parts, part.name), `${name} draws ${part.name}`);
        assert.ok(part.pieces > 0, `${part.name} of ${name} has no outline`);
        seen.add(part.name);
      }
      const drawn = new Set(pen.parts.map((part) => part.name)).size;
      assert.ok(drawn >= 2 && drawn <= 6, `${name} has ${drawn} parts`);
      const points = pen.marks.flatMap(({ rings }) => rings.flat());
      const [xs, ys] = [0, 1].map((axis) => points.filter((_, at) => at % 2 === axis)) as [number[], number[]];
      assert.ok(Math.max(...xs.map(Math.abs)) < 0.75 * width + 0.15, `${name} is ${2 * Math.max(...xs.map(Math.abs))} wide, says ${width}`);
      assert.ok(
        Math.min(...ys) > -1.12 && Math.min(...ys) < -0.8 && Math.max(...ys) < 0.08,
        `${name}: ${Math.min(...ys)} to ${Math.max(...ys)}`,
      );
    }
    assert.deepEqual([...seen].sort(), Object.keys(parts).sort(), `parts of ${name}`);
  }
});

test('each is held out in one colour, and every colour is held out of some', () => {
  assert.ok(new Set(kinds.map(heldOutColor)).size >= 8);
  for (const kind of kinds) assert.ok(colorNames.includes(heldOutColor(kind)));
});
