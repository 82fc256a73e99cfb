/** COCO's panoptic format as samples: what scenes write is read again, and names are said as people say them. */
import { strict as assert } from 'node:assert';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import { CocoPanopticDataset, type CocoPanopticOptions } from '../../../lib/data/datasets/coco_panoptic';
import { decodeSample } from '../../../lib/data/decode_sample';
import { faultsOf, phrasesOf } from '../../../lib/data/sample';
import { panopticCategories } from '../../../lib/data/scenes/panoptic';
import { makeScene } from '../../../lib/data/scenes/scene';
import { writeScenes } from '../../../lib/data/scenes/write_scenes';
import { AbortedError, ArgumentError, DataError, SampleError } from '../../../lib/errors';
import { rlePixels } from '../../../lib/image/rle_pixels';
import { encodePng } from '../../support/png';
import { turnsDuring } from '../../support/turns';
import { temporaryFolder } from '../../support/weights';

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const person = 66051; // 3, 2, 1
const ids = [person, person, 7, 0, 256, 256];
const categories = [
  { id: 1, name: 'person' },
  { id: 2, name: 'wall-brick' },
  { id: 3, name: 'tree-merged' },
];
const annotation = {
  image_id: 9,
  file_name: '9.png',
  segments_info: [
    { id: 256, category_id: 3, iscrowd: 0 },
    { id: person, category_id: 1 },
    { id: 7, category_id: 1 },
  ],
};
const content = { images: [{ id: 9, file_name: '9.jpg', width: 3, height: 2 }], annotations: [annotation], categories };

let count = 0;
function optionsOf(value: unknown, pixels = ids): CocoPanopticOptions {
  const segments = folder.file(`set-${count++}`);
  mkdirSync(segments);
  const colors = Uint8Array.from(pixels.flatMap((id) => [id & 255, (id >> 8) & 255, id >> 16]));
  writeFileSync(join(segments, '9.png'), encodePng({ width: 3, height: 2, pixels: colors }));
  writeFileSync(join(segments, 'all.json'), typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value));
  return { annotations: join(segments, 'all.json'), segments, images: '/pictures' };
}
const open = (value: unknown, pixels = ids) => CocoPanopticDataset.open(optionsOf(value, pixels));

describe("COCO's panoptic format", () => {
  test('is everything in a picture, by category, each by its name', async () => {
    const { masks, ...sample } = await (await open(content)).get(0);
    assert.deepEqual(sample, {
      id: '9',
      image: '/pictures/9.jpg',
      conversation: [
        {
          question: 'Can you segment all the objects in the image?',
          answer: 'Sure, the image contains <p> person-1 </p> [SEG], <p> person-2 </p> [SEG] and <p> tree </p> [SEG].',
        },
      ],
      task: 'panoptic',
    });
    assert.deepEqual(
      masks.map((mask) => [...(rlePixels(mask) ?? [])]),
      [
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
      ],
    );
  });

  test('has one thing, and walls by what they are made of', async () => {
    const one = { ...annotation, segments_info: [{ id: 5, category_id: 2 }] };
    const sample = await (await open({ ...content, annotations: [one] }, [5, 5, 5, 5, 5, 0])).get(0);
    assert.equal(sample.conversation[0]?.answer, 'Sure, the image contains <p> brick wall </p> [SEG].');
  });

  test('of a large picture lets other JavaScript run in between', async () => {
    const [width, height] = [1000, 800];
    const options = optionsOf({ ...content, annotations: [{ ...annotation, segments_info: [{ id: 5, category_id: 2 }] }] });
    const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i % 6 === 0 ? 5 : 0));
    writeFileSync(join(options.segments, '9.png'), encodePng({ width, height, pixels }));
    const dataset = await CocoPanopticDataset.open(options);
    assert.ok((await turnsDuring(() => dataset.get(0))) > 2 * ((width * height) / 50_000) - 4);
  });

  test('has no crowds: they are neither named nor numbered, nor is their place strange', async () => {
    const crowd = { id: 7, category_id: 1, iscrowd: 1 };
    const segments_info = [crowd, ...annotation.segments_info.filter(({ id }) => id !== 7)];
    const sample = await (await open({ ...content, annotations: [{ ...annotation, segments_info }] })).get(0);
    assert.equal(sample.conversation[0]?.answer, 'Sure, the image contains <p> person </p> [SEG] and <p> tree </p> [SEG].');
    assert.equal(sample.masks.length, 2);
  });

  test('has names without white space at their ends, whatever they are called', async () => {
    for (const [name, said] of [
      [' wall', 'wall'],
      ['sky - other', 'sky'],
      ['constructor', 'constructor'],
    ] as const) {
      const one = { ...annotation, segments_info: [{ id: 5, category_id: 2 }] };
      const set = await open({ ...content, annotations: [one], categories: [{ id: 2, name }] }, [5, 5, 5, 5, 5, 0]);
      assert.equal((await set.get(0)).conversation[0]?.answer, `Sure, the image contains <p> ${said} </p> [SEG].`);
    }
  });

  test('has no category that cannot be said', async () => {
    for (const [name, reason] of [
      ['-other', /all\.json: categories\.1\.name: is "-other", expected a name, before a dash where it has one$/],
      [' ', /is " ", expected a name/],
      ['', /is "", expected a name/],
      ['a</s>b', /is "a<\/s>b", which has <\/s> in it, which means something in a prompt$/],
      ['<image>', /has <image> in it/],
      [3, /expected a name/],
    ] as const)
      await assert.rejects(
        open({
          ...content,
          categories: [
            { id: 1, name: 'person' },
            { id: 2, name },
          ],
        }),
        { name: 'DataError', message: reason },
      );
  });

  test('that is wrong says what is', async () => {
    const says = async (change: object, reasons: readonly RegExp[], pixels = ids, problem = 'record') => {
      const set = await open({ ...content, annotations: [{ ...annotation, ...change }] }, pixels);
      const error = await set.get(0).then(
        () => assert.fail('expected an error'),
        (caught: unknown) => caught,
      );
      assert.ok(error instanceof SampleError, String(error));
      assert.match(error.message, /all\.json:1: /);
      assert.equal(error.problem, problem);
      assert.equal(error.faults.length, reasons.length);
      for (const [i, reason] of reasons.entries()) assert.match(`${error.faults[i]?.field} ${error.faults[i]?.reason}`, reason);
    };
    await says({ image_id: 8 }, [/^image_id is 8, which no picture has$/]);
    await says({ file_name: '8.png' }, [/^file_name .*8\.png/], ids, 'missing_image');
    await says({ file_name: 'all.json' }, [/^file_name .*all\.json/], ids, 'image');
    await says({ segments_info: [] }, [/^segments_info is empty/]);
    await says({ segments_info: [{ id: 7, category_id: 1, iscrowd: 1 }] }, [/^segments_info has crowds alone, expected/]);
    await says({ segments_info: [{ id: 7, category_id: 4 }] }, [/^category_id is 4, which no category has$/]);
    await says(
      {},
      [/^segments_info has no segment 8, of which there are pixels$/, /^segments_info has segment 7, of which there is no pixel$/],
      [person, person, 8, 0, 256, 256],
    );
    await says({ image_id: 'x', file_name: '' }, [/^image_id expected a whole number$/, /^file_name expected the name of a file$/]);
  });

  test('that is not there or none is an error', async () => {
    await assert.rejects(CocoPanopticDataset.open({ ...optionsOf(content), annotations: folder.file('none.json') }), DataError);
    await assert.rejects(open('{'), { name: 'DataError', message: /is no JSON/ });
    await assert.rejects(open(Buffer.from('{"a": "\xff"}', 'latin1')), { name: 'DataError', message: /all\.json: is no UTF-8$/ });
    assert.equal((await open(`\ufeff${JSON.stringify(content)}`)).length, 1);
    await assert.rejects(open({ ...content, annotations: [] }), {
      name: 'DataError',
      message: /all\.json: annotations: expected at least one$/,
    });
    await assert.rejects(CocoPanopticDataset.open({ ...optionsOf(content), segments: 3 as never }), ArgumentError);
    await assert.rejects(CocoPanopticDataset.open({ ...optionsOf(content), signal: AbortSignal.abort() }), AbortedError);
    await assert.rejects((await open(content)).get(-1), ArgumentError);
  });

  test('of scenes has all their regions and things', async () => {
    const written = folder.file('scenes');
    mkdirSync(written);
    const key = { split: 'val', seed: 4, size: 96 } as const;
    await writeScenes(written, { ...key, count: 4 });
    const at = (name: string) => join(written, name);
    const set = await CocoPanopticDataset.open({ annotations: at('panoptic.json'), segments: at('panoptic'), images: at('images') });
    assert.equal(set.length, 4);
    for (const index of [0, 1, 2, 3]) {
      const scene = makeScene({ ...key, index });
      const sample = await set.get(index);
      assert.deepEqual(faultsOf(sample), []);
      assert.ok('decoded' in (await decodeSample(sample)));
      const all = [
        ...scene.regions.map((one) => ({ ...one, name: one.name as string })),
        ...scene.things.map((one) => ({ ...one, name: one.kind })),
      ];
      const order = panopticCategories.map(({ name }) => name);
      all.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
      assert.deepEqual(
        sample.masks,
        all.map((one) => scene.maskOf(one)),
      );
      assert.deepEqual(
        phrasesOf(sample).map((phrase) => phrase.replace(/-\d+$/, '')),
        all.map(({ name }) => name),
      );
    }
  });
});
