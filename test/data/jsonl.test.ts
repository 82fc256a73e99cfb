/** Files of samples: there and back, lines at random, and the words for each line that is wrong. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { JsonlDataset, type JsonlOptions, writeJsonl } from '../../lib/data/jsonl';
import type { Sample } from '../../lib/data/sample';
import { AbortedError, ArgumentError, DataError, DisposedError, SampleError } from '../../lib/errors';
import { rleFromPolygons } from '../../lib/image/polygons';
import { compressRuns, rleFromRuns } from '../../lib/image/rle';
import { temporaryFolder } from '../support/weights';

const turn = { question: 'What is there?', answer: 'A <p> cat </p> [SEG].' };
const record = { id: 'a', image: 'cat.png', conversation: [turn], masks: [{ size: [2, 3], counts: [1, 2, 3] }], task: 'caption' };
const lineOf = (change: object = {}) => JSON.stringify({ ...record, ...change });

/** What the file of these lines holds: samples, and the message of each that is refused. */
async function read(content: string | Uint8Array, options?: JsonlOptions): Promise<(Sample | string)[]> {
  using folder = temporaryFolder();
  const path = folder.file('set.jsonl', content);
  await using set = await JsonlDataset.open(path, options);
  assert.equal(set.name, path);
  const samples: (Sample | string)[] = [];
  for (let i = 0; i < set.length; i++) {
    const sample = await set.get(i).catch((error) => {
      assert.ok(error instanceof SampleError && error.line === i + 1 && error.file === path);
      return error.message.slice(dirname(path).length + 1);
    });
    samples.push(
      typeof sample === 'string' || typeof sample.image !== 'string'
        ? sample
        : { ...sample, image: sample.image.replace(dirname(path), '.') },
    );
  }
  return samples;
}

describe('a file of samples', () => {
  test('is read as it was written', async () => {
    using folder = temporaryFolder();
    const path = folder.file('set.jsonl');
    const size = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }));
    const mask = (shape: readonly [number, number]) =>
      fc.integer({ min: 0, max: shape[0] * shape[1] }).map((run) => rleFromRuns([run, shape[0] * shape[1] - run], shape));
    const sample: fc.Arbitrary<Sample> = size
      .chain((shape) => fc.array(mask(shape), { maxLength: 4 }))
      .chain((masks) =>
        fc.record({
          id: fc.string({ minLength: 1 }),
          image: fc.constantFrom(folder.file('a.png'), folder.file('pictures/ä b.jpg'), '/elsewhere/c.png'),
          conversation: fc.constant([
            { question: 'Mask “all”,\nplease\u2028', answer: `So: ${masks.map((_, i) => `<p> ${i} </p> [SEG]`).join(' ')}.` },
          ]),
          masks: fc.constant(masks),
          task: fc.constantFrom('caption', 'refer'),
        }),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(sample, { maxLength: 5 }), async (samples) => {
        assert.equal(await writeJsonl(path, samples), samples.length);
        await using set = await JsonlDataset.open(path);
        assert.equal(set.length, samples.length);
        for (let i = samples.length - 1; i >= 0; i--) expect(await set.get(i)).toEqual(samples[i]);
      }),
      { numRuns: 15 },
    );
    expect(readdirSync(folder.path)).toEqual(['set.jsonl']);
  });

  test('names pictures as seen from its folder, or from another one', async () => {
    using folder = temporaryFolder();
    const path = folder.file('set.jsonl');
    await writeJsonl(path, [
      {
        id: 'a',
        image: folder.file('pictures/cat.png'),
        conversation: [{ question: 'What?', answer: 'A cat.' }],
        masks: [],
        task: 'caption',
      },
    ]);
    assert.equal((JSON.parse(readFileSync(path, 'utf8')) as { image: string }).image, 'pictures/cat.png');
    const [sample] = await read(lineOf(), { images: '/pictures' });
    assert.equal((sample as Sample).image, '/pictures/cat.png');
  });

  test('takes runs, strings and polygons as masks, what one keeps for oneself, and other ends of lines', async () => {
    const rings = [[0, 0, 2, 0, 2, 2, 0, 2]];
    const masks = [
      { size: [4, 5], counts: [1, 2, 17] },
      { size: [4, 5], counts: compressRuns([1, 2, 17]) },
      { size: [4, 5], polygons: rings },
      { size: [4, 5], polygons: [{ outer: rings[0], holes: [] }] },
    ];
    const conversation = [{ question: 'What?', answer: '[SEG] [SEG] [SEG] [SEG]' }];
    const lines = [
      lineOf({ masks, conversation, meta: { from: ['here'] } }),
      lineOf({ masks: undefined, image: undefined, conversation: [{ question: 'Hi', answer: 'Hello.' }] }),
    ];
    const [first, second] = await read(`\ufeff${lines.join('\r\n')}`);
    const [a, b] = [rleFromRuns([1, 2, 17], [4, 5]), rleFromPolygons(rings, [4, 5])];
    assert.deepEqual((first as Sample).masks, [a, a, b, b]);
    assert.deepEqual(second, { id: 'a', conversation: [{ question: 'Hi', answer: 'Hello.' }], masks: [], task: 'caption' });
  });

  test('says what is wrong with a line', async () => {
    const wrong: [string | Uint8Array, string][] = [
      ['{"id": 1', `the line is no JSON: ${messageOf('{"id": 1\n')}`],
      ['  ', 'the line is empty'],
      [Uint8Array.of(0x22, 0xff, 0x22), 'the line is no UTF-8'],
      ['[]', 'is a list of 0, expected a JSON object'],
      [lineOf({ id: 7 }), 'id: is 7, expected a string'],
      [lineOf({ task: '' }), 'task: is "", expected some text'],
      [lineOf({ mask: [] }), 'mask: is no field that is known here'],
      [lineOf({ conversation: [] }), 'conversation: is a list of 0, expected at least one turn'],
      [lineOf({ conversation: [{ question: 'What?' }] }), 'conversation[0].answer: is missing, expected a string'],
      [lineOf({ masks: [{ size: [2], counts: '' }] }), 'masks[0].size: is a list of 1, expected [height, width]'],
      [lineOf({ masks: [{ size: [2, 0.5], counts: '' }] }), 'masks[0].size[1]: is 0.5, expected a whole number of pixels'],
      [lineOf({ masks: [{ size: [2, 3], counts: 7 }] }), 'masks[0].counts: is 7, expected a string or a list of runs'],
      [lineOf({ masks: [{ size: [2, 3] }] }), 'masks[0]: is {size}, expected either counts or polygons'],
      [lineOf({ masks: [{ size: [2, 3], counts: [1, 2, 4] }] }), 'masks[0]: rle: runs cover 7 pixels, expected 6, height * width'],
      [
        lineOf({ masks: [{ size: [2, 3], polygons: [[1, 2]] }] }),
        'masks[0]: rleFromPolygons: polygons[0] has 2 numbers, expected x and y in turn of at least three corners',
      ],
      [
        lineOf({ masks: [{ size: [2, 3], polygons: [[0, 0, 1e17, 1, 2, 2]] }] }),
        'masks[0]: polygons[0] has a corner at 100000000000000000, expected pixels within 1000000',
      ],
      [lineOf({ masks: [] }), 'masks: has 0, expected as many as there are [SEG] in the answers, 1'],
    ];
    const content = Buffer.concat(wrong.flatMap(([line]) => [Buffer.from(line as string), Buffer.from('\n')]));
    assert.deepEqual(
      await read(content),
      wrong.map(([, message], i) => `set.jsonl:${i + 1}: ${message}`),
    );
  });

  test('keeps all that is wrong with a line', async () => {
    using folder = temporaryFolder();
    const masks = [
      { size: [2, 3], counts: [7] },
      { size: [3, 2], counts: '1' },
    ];
    await using set = await JsonlDataset.open(folder.file('set.jsonl', lineOf({ masks })));
    await assert.rejects(set.get(0), (error: SampleError) => {
      assert.deepEqual(
        error.faults.map(({ problem, field }) => [problem, field]),
        [
          ['rle', 'masks[0]'],
          ['seg_count', 'masks'],
          ['mask_size', 'masks[1]'],
        ],
      );
      return true;
    });
  });

  test('is refused by SampleErrors alone, whatever its lines say', async () => {
    using folder = temporaryFolder();
    const path = folder.file('set.jsonl');
    const leaf = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(-1, 2 ** 40, '[SEG]', [2, 3], [[0, 0, 1e9, 0, 3, 3]], { size: [2 ** 20, 2 ** 20], counts: [] }),
    );
    const keys = fc.constantFrom(
      'id',
      'image',
      'conversation',
      'masks',
      'task',
      'size',
      'counts',
      'polygons',
      'outer',

      'question',
      '0',
    );
    const line = fc.tuple(fc.array(keys, { minLength: 1, maxLength: 4 }), leaf).map(([places, value]) => {
      const changed = structuredClone(record) as unknown as Record<string, unknown>;
      const inner = places
        .slice(0, -1)
        .reduce((at, key) => (typeof at[key] === 'object' && at[key] ? (at[key] as typeof at) : at), changed);
      inner[places.at(-1) as string] = value;
      return JSON.stringify(changed);
    });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 20 }), async (lines) => {
        folder.file('set.jsonl', [...lines, '{"__proto__": {"id": "a"}, "constructor": 1}'].join('\n'));
        await using set = await JsonlDataset.open(path);
        for (let i = 0; i < set.length; i++)
          await set.get(i).catch((error) => assert.ok(error instanceof SampleError, `${lines[i]}: ${error}`));
      }),
      { numRuns: 30 },
    );
  });

  test('of many lines is read at random', async () => {
    const count = 70_000; // more than a segment of the index, over many chunks
    const content = Array.from({ length: count }, (_, i) =>
      lineOf({ id: `${i}`.repeat(1 + (i % 7)), masks: [{ size: [2, 3], counts: '123' }] }),
    ).join('\n');
    using folder = temporaryFolder();
    const seen: number[] = [];
    await using set = await JsonlDataset.open(folder.file('set.jsonl', content), {
      onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes),
    });
    assert.equal(set.length, count);
    for (const i of [count - 1, 0, 65_535, 65_536, 12_345]) assert.equal((await set.get(i)).id, `${i}`.repeat(1 + (i % 7)));
    assert.ok(seen.length > 10 && seen.at(-1) === 1);
  });

  test('without lines has none', async () => {
    assert.deepEqual(await read(''), []);
    assert.deepEqual(await read('\n'), ['set.jsonl:1: the line is empty']);
  });

  test('has to be there, and to stay', async () => {
    using folder = temporaryFolder();
    await assert.rejects(
      JsonlDataset.open(folder.file('none.jsonl')),
      (error) => error instanceof DataError && error.message.endsWith('none.jsonl: does not exist'),
    );
    await assert.rejects(JsonlDataset.open(folder.path), /is no regular file|cannot be read/);
    const path = folder.file('set.jsonl', lineOf());
    await assert.rejects(JsonlDataset.open(path, { signal: AbortSignal.abort() }), AbortedError);
    await using set = await JsonlDataset.open(path);
    await assert.rejects(set.get(1), /sample 1 was asked for, expected 0 to 0/);
    truncateSync(path, 10);
    await assert.rejects(set.get(0), /it has become shorter since it was opened/);
    await set.close();
    await assert.rejects(set.get(0), (error) => error instanceof DisposedError && error.message === `${path} was closed`);
    await assert.rejects(
      JsonlDataset.open(5 as never),
      (error) => error instanceof ArgumentError && error.message === 'JsonlDataset.open: path is 5, expected a string',
    );
  });
});

describe('writeJsonl', () => {
  test('leaves what was there when it fails', async () => {
    using folder = temporaryFolder();
    const path = folder.file('set.jsonl', 'before');
    const sample: Sample = { id: 'a', conversation: [turn], masks: [], task: 'caption' };
    await assert.rejects(writeJsonl(path, [sample]), {
      message: `${path}:1: masks: has 0, expected as many as there are [SEG] in the answers, 1`,
    });
    await assert.rejects(writeJsonl(path, [sample], { signal: AbortSignal.abort() }), AbortedError);
    assert.equal(readFileSync(path, 'utf8'), 'before');
    expect(readdirSync(folder.path)).toEqual(['set.jsonl']);
    const nowhere = join(folder.path, 'none/set.jsonl');
    await assert.rejects(
      writeJsonl(nowhere, []),
      (error: Error) => error instanceof DataError && error.message.startsWith(`${nowhere}: cannot be written: ENOENT`),
    );
    await assert.rejects(
      writeJsonl(folder.path, []),
      (error: Error) => error instanceof DataError && error.message.startsWith(`${folder.path}: cannot be written: EISDIR`),
    );
    expect(readdirSync(dirname(folder.path)).filter((name) => name.endsWith('.unfinished'))).toEqual([]);
    await assert.rejects(
      writeJsonl(5 as never, []),
      (error) => error instanceof ArgumentError && error.message === 'writeJsonl: path is 5, expected a string',
    );
  });

  test('refuses what could not be read again, and writes masks in whatever form they are read', async () => {
    using folder = temporaryFolder();
    const path = folder.file('set.jsonl');
    const plain = { id: 'a', conversation: [{ question: 'Hi', answer: 'Hello.' }], task: 'caption' };
    for (const [sample, message] of [
      [null, 'is null, expected a JSON object'],
      [{ ...plain, conversation: undefined }, 'conversation: is missing, expected a list of turns'],
      [{ ...plain, conversation: [] }, 'conversation: is a list of 0, expected at least one turn'],
      [{ ...plain, conversation: [{ answer: 'Hello.' }] }, 'conversation[0].question: is missing, expected a string'],
      [{ ...plain, id: undefined }, 'id: is missing, expected a string'],
      [{ ...plain, mask: [] }, 'mask: is no field that is known here'],
    ] as const)
      await assert.rejects(writeJsonl(path, [plain, sample] as unknown as Sample[]), {
        name: 'SampleError',
        message: `${path}:2: ${message}`,
      });
    await writeJsonl(path, [plain, record] as unknown as Sample[]);
    await using set = await JsonlDataset.open(path);
    assert.deepEqual(await set.get(0), { ...plain, masks: [] });
    assert.deepEqual((await set.get(1)).masks, [rleFromRuns([1, 2, 3], [2, 3])]);
  });
});

function messageOf(json: string): string {
  try {
    return String(JSON.parse(json));
  } catch (error) {
    return (error as Error).message;
  }
}
