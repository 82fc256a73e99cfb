/** Scenes: the same from the same numbers, whole, and true. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { describe, test } from '@jest/globals';
import { splitNames } from '../../../lib/data/scenes/key';
import { pixelClasses, pixelClassNames } from '../../../lib/data/scenes/pixel_classes';
import { makeScene, type Scene } from '../../../lib/data/scenes/scene';
import { ArgumentError } from '../../../lib/errors';
import { rleArea, rleBox } from '../../../lib/image/rle';
import { rlePixels } from '../../../lib/image/rle_pixels';

const sceneOf = (index: number, { size = 128, split = 'train', seed = 1 }: Partial<Scene['key']> = {}) =>
  makeScene({ seed, split, index, size });
const sha256 = (...bytes: readonly Uint8Array[]) => {
  const hash = createHash('sha256');
  for (const one of bytes) hash.update(one);
  return hash.digest('hex').slice(0, 16);
};
const bytesOf = ({ labels, pixels }: Scene) => sha256(new Uint8Array(labels.buffer), pixels);

describe('a scene', () => {
  test('has the same bits wherever it is drawn', () => {
    const hashes = splitNames.map((split) => [0, 1, 2, 3].map((index) => bytesOf(sceneOf(index, { split, size: 96 }))));
    assert.deepEqual(hashes, golden);
  });

  test('is another with another seed, split or index', () => {
    const scenes = [sceneOf(0), sceneOf(1), sceneOf(0, { seed: 2 }), sceneOf(0, { split: 'val' }), sceneOf(0, { split: 'test' })];
    assert.equal(new Set(scenes.map(bytesOf)).size, scenes.length);
  });

  test('has pixels that belong to one part or region each', () => {
    for (let index = 0; index < 60; index++) {
      const scene = sceneOf(index, { size: 64 });
      const extents = [...scene.regions, ...scene.things];
      assert.equal(
        extents.reduce((area, one) => area + one.area, 0),
        64 * 64,
      );
      const owners = new Uint8Array(64 * 64);
      for (const one of extents) {
        const rle = scene.maskOf(one);
        assert.equal(rleArea(rle), one.area);
        assert.deepEqual([...rleBox(rle)], [...one.box]);
        for (const [i, pixel] of rlePixels(rle)?.entries() ?? []) owners[i] = (owners[i] as number) + pixel;
      }
      assert.ok(owners.every((count) => count === 1));
      for (const thing of scene.things) {
        assert.equal(
          thing.parts.reduce((area, part) => area + part.area, 0),
          thing.area,
          `${thing.kind} of scene ${index}`,
        );
      }
    }
  });

  test('shows enough of each thing, and of two parts or more in most', () => {
    let [things, simple] = [0, 0];
    for (let index = 0; index < 100; index++) {
      const scene = sceneOf(index);
      assert.ok(scene.things.length > 0);
      for (const { area, parts, on, kind } of scene.things) {
        assert.ok(area >= scene.leastArea, `${kind} of scene ${index} has ${area} pixels`);
        if (on !== undefined) assert.equal(scene.things[on]?.kind, 'table');
        things++;
        if (new Set(parts.filter((part) => part.area >= scene.leastArea).map(({ name }) => name)).size < 2) simple++;
      }
    }
    assert.ok(things > 250 && simple < 0.1 * things, `${simple} of ${things}`);
  });

  test('is the same at every size', () => {
    for (let index = 0; index < 30; index++) {
      const [small, large] = [sceneOf(index, { size: 64 }), sceneOf(index, { size: 192 })];
      const told = ({ things, setting }: Scene) => [setting, things.map(({ kind, color, pattern, on }) => [kind, color, pattern, on])];
      assert.deepEqual(told(small), told(large));
      let same = 0;
      for (let y = 0; y < 64; y++)
        for (let x = 0; x < 64; x++) same += Number(small.labels[64 * y + x] === large.labels[192 * (3 * y + 1) + 3 * x + 1]);
      assert.ok(same > 0.95 * 64 * 64, `scene ${index}: ${same} of ${64 * 64} pixels agree`);
    }
  });

  test('refuses what is no key', () => {
    const good = { seed: 1, split: 'train', index: 0, size: 64 } as const;
    for (const [change, message] of [
      [{ seed: -1 }, /^scene: seed is -1, expected a whole number, 0 to 4294967295$/],
      [{ index: 0.5 }, /^scene: index is 0.5, expected a whole number, 0 to /],
      [{ size: 8 }, /^scene: size is 8, expected a whole number, 32 to 2048$/],
      [{ split: 'dev' as 'val' }, /^scene: split is "dev", expected train, val, test, unseen$/],
    ] as const)
      assert.throws(
        () => makeScene({ ...good, ...change }),
        (error: Error) => error instanceof ArgumentError && message.test(error.message),
      );
    assert.throws(() => makeScene(good).maskOf(), ArgumentError);
  });
});

describe('classes of pixels', () => {
  test('are those of what they belong to', () => {
    assert.equal(new Set(pixelClassNames.kind).size, pixelClassNames.kind.length);
    const scene = sceneOf(7);
    const { kind, color, part } = pixelClasses(scene);
    const owner = new Map(scene.things.flatMap((thing) => thing.parts.map((one) => [one.labels[0], { thing, one }])));
    const region = new Map(scene.regions.map((one) => [one.labels[0], one]));
    for (const [i, label] of scene.labels.entries()) {
      const found = owner.get(label);
      assert.equal(pixelClassNames.kind[kind[i] as number], found?.thing.kind ?? region.get(label)?.name);
      assert.equal(pixelClassNames.color[color[i] as number], found?.thing.color ?? 'background');
      assert.equal(pixelClassNames.part[part[i] as number], found?.one.name ?? 'background');
    }
  });
});

/** Of pixels and labels: a change of drawing changes what models were trained on. */
const golden: readonly (readonly string[])[] = [
  ['bf89c65ab9c8ec57', '353aa91db219809b', '28687a3ec8c3d10b', '029661f784be4c27'],
  ['21478a2e1b1bf0b9', '8ffb9d552c11ebee', 'e249180947d9c5c5', 'd3fe911d4e996f78'],
  ['f025b12b5b8b14a9', '4a0a91ce98e6de40', '4c36c46097d18c92', 'd02276ee32c214b3'],
  ['a5ed001f7f14d204', 'e29706686d3a3422', 'a0e0c6380540eefe', '5687895244eb4377'],
];
