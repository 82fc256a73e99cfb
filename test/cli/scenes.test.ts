import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { pixelClassNames } from '../../lib/data/scenes/pixel_classes';
import { makeScene } from '../../lib/data/scenes/scene';
import { taskNames } from '../../lib/data/scenes/tasks';
import { parseRleAnnotation, rleArea } from '../../lib/image/rle';
import { parseSegCap } from '../../lib/text/segcap';
import { mglmm } from '../support/command';
import { temporaryFolder } from '../support/weights';

const options = ['--count', '3', '--size', '64', '--seed', '7', '--split', 'val'];
const filesOf = (folder: string) => (readdirSync(folder, { recursive: true, encoding: 'utf8' }) as string[]).sort();
const json = <Value>(...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8')) as Value;

async function rgbOf(path: string): Promise<Buffer> {
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [64, 64, 3]);
  return data;
}

describe('mglmm scenes', () => {
  test('writes pictures, and what is known of them in each form', async () => {
    using folder = temporaryFolder();
    const out = folder.file('out');
    const ran = await mglmm(['scenes', '--out', out, ...options]);
    assert.equal(ran.out, `${out}: 3 scenes, ${3 * taskNames.length} samples; see contact_sheet.png\n`);
    assert.equal(ran.code, 0);
    const names = ['val-7-0', 'val-7-1', 'val-7-2'];
    expect(filesOf(out)).toEqual(
      [
        'MGLMM_val_split.txt',
        ...['annotations', ...names.map((name) => `annotations/mglmm_${name}.json`)],
        'contact_sheet.png',
        ...['images', ...names.map((name) => `images/${name}.png`)],
        ...['panoptic', ...names.map((name) => `panoptic/${name}.png`)],
        'panoptic.json',
        'samples.jsonl',
      ].sort(),
    );
    const checked = await mglmm(['data', 'check', join(out, 'samples.jsonl')]);
    assert.match(checked.out, new RegExp(`: ${3 * taskNames.length} of ${3 * taskNames.length} samples are good\n`));
    assert.equal(readFileSync(join(out, 'MGLMM_val_split.txt'), 'utf8'), names.map((name) => `mglmm_${name}.json\n`).join(''));

    const panoptic = json<Panoptic>(out, 'panoptic.json');
    for (const [index, name] of names.entries()) {
      const scene = makeScene({ seed: 7, split: 'val', index, size: 64 });
      assert.ok((await rgbOf(join(out, 'images', `${name}.png`))).equals(scene.pixels));

      const ids = await rgbOf(join(out, 'panoptic', `${name}.png`));
      const areas = new Map<number, number>();
      for (let i = 0; i < ids.length; i += 3) {
        const id = (ids[i] as number) + 256 * (ids[i + 1] as number) + 65536 * (ids[i + 2] as number);
        areas.set(id, (areas.get(id) ?? 0) + 1);
      }
      const { file_name, segments_info } = panoptic.annotations.find((one) => one.image_id === index) as Panoptic['annotations'][number];
      assert.equal(file_name, `${name}.png`);
      assert.deepEqual(
        new Map(segments_info.map(({ id, area }) => [id, area])),
        new Map(
          [...areas].sort(([a], [b]) => segments_info.findIndex(({ id }) => id === a) - segments_info.findIndex(({ id }) => id === b)),
        ),
      );
      const kinds = segments_info.map(({ category_id }) => panoptic.categories.find(({ id }) => id === category_id)?.name);
      assert.deepEqual(kinds, [...scene.regions.map((region) => region.name), ...scene.things.map(({ kind }) => kind)]);

      const conversations = json<Conversation[]>(out, 'annotations', `mglmm_${name}.json`);
      assert.ok(
        conversations[0]?.label === 'root' &&
          conversations.slice(1).every(({ label, type }) => label.startsWith('subtree: ') && type === 'subtree'),
      );
      for (const { gcg_caption, gcg_labels, file_name: image, ...items } of conversations) {
        assert.equal(image, `${name}.png`);
        let text = gcg_caption;
        for (const key of gcg_labels) text = text.replace(`<${key}>`, '<p>').replace(`</${key}>`, '</p> [SEG]');
        const { segments, repairs } = parseSegCap(text);
        assert.deepEqual([segments.length, repairs], [gcg_labels.length, []]);
        for (const key of gcg_labels) {
          const { label, mask } = items[key] as { label: string; mask: string };
          const rle = parseRleAnnotation(mask);
          assert.ok(rle && rleArea(rle) > 0 && label !== '');
        }
      }
    }
    assert.deepEqual(
      panoptic.categories.map(({ name }) => name),
      pixelClassNames.kind,
    );
    const { width, height } = await sharp(join(out, 'contact_sheet.png')).metadata();
    assert.deepEqual([width, height], [4 + 6 * 68, 4 + 68]);
  });

  test('writes the same bytes again', async () => {
    using folder = temporaryFolder();
    const digest = async (name: string) => {
      const out = folder.file(name);
      await mglmm(['scenes', '--out', out, ...options]);
      const hash = createHash('sha256');
      for (const file of filesOf(out).filter((one) => one.includes('.'))) hash.update(readFileSync(join(out, file)));
      return hash.digest('hex');
    };
    assert.equal(await digest('one'), await digest('two'));
  });

  test('leaves nothing when it is stopped, and takes no folder that holds something', async () => {
    using folder = temporaryFolder();
    const stopped = await mglmm(['scenes', '--out', folder.file('out'), ...options], { signal: AbortSignal.abort() });
    assert.deepEqual([stopped.code, stopped.err], [130, 'mglmm: interrupted\n']);
    assert.equal(readdirSync(folder.path).length, 0);
    mkdirSync(folder.file('full'));
    folder.file('full/one', 'x');
    const full = await mglmm(['scenes', '--out', folder.file('full'), ...options]);
    assert.equal(full.code, 1);
    assert.match(full.err, /full is not empty, expected a new or an empty folder\n$/);
  });

  test('refuses numbers that are none', async () => {
    using folder = temporaryFolder();
    const out = folder.file('out');
    for (const [arguments_, code, message] of [
      [['--count', '0'], 2, /^mglmm: scenes: count is 0, expected a whole number, 1 to 2147483648, as many as train has\n$/],
      [['--count', '1001', '--split', 'val'], 2, /count is 1001, expected a whole number, 1 to 1000, as many as val has\n$/],
      [['--size', '8'], 2, /scene: size is 8, expected a whole number, 32 to 2048\n$/],
      [['--seed', 'x'], 2, /expected a whole number from 0/],
      [['--split', 'dev'], 2, /Allowed choices are train, val, test, unseen/],
    ] as const) {
      const ran = await mglmm(['scenes', '--out', out, ...arguments_]);
      assert.equal(ran.code, code);
      assert.match(ran.err, message);
    }
    assert.equal((await mglmm(['scenes'])).code, 2);
  });
});

interface Panoptic {
  readonly annotations: readonly {
    readonly image_id: number;
    readonly file_name: string;
    readonly segments_info: readonly { readonly id: number; readonly category_id: number; readonly area: number }[];
  }[];
  readonly categories: readonly { readonly id: number; readonly name: string }[];
}

interface Conversation {
  readonly [key: string]: unknown;
  readonly file_name: string;
  readonly label: string;
  readonly type: string;
  readonly gcg_caption: string;
  readonly gcg_labels: readonly string[];
}
