/** Batches that follow from their number alone, and what becomes of bad samples. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EachOnce } from '../../lib/data/each_once';
import { JsonlDataset } from '../../lib/data/jsonl';
import { type Batch, Loader, type LoaderOptions } from '../../lib/data/loader';
import { Mixture } from '../../lib/data/mixture';
import type { Dataset } from '../../lib/data/sample';
import { AbortedError, ArgumentError, DataError, SampleError, sampleProblems } from '../../lib/errors';
import { badLines, digestOf, sampleLine, sampleSize, stripe, writeSamples } from '../support/samples';
import { temporaryFolder } from '../support/weights';

type Options = Partial<LoaderOptions>;
const loaderOf = (dataset: Dataset, options: Options = {}) =>
  new Loader({ mixture: new Mixture([{ dataset }], 5), batchSize: 2, workers: 0, ...options });

/** Digests of these batches, from a loader that is opened for them. */
async function digests(path: string, indices: readonly number[], options?: Options): Promise<string[]> {
  await using dataset = await JsonlDataset.open(path);
  await using loader = loaderOf(dataset, options);
  const found: string[] = [];
  for (const index of indices) found.push(digestOf(await loader.batch(index)));
  return found;
}

/** The one batch of a file of one line. */
async function batchOf(line: string): Promise<Batch> {
  using folder = temporaryFolder();
  await writeSamples(folder, 1);
  await using dataset = await JsonlDataset.open(folder.file('one.jsonl', line));
  await using loader = loaderOf(dataset, { batchSize: 1, ahead: 0 });
  return await loader.batch(0);
}

describe('a batch', () => {
  test('holds samples, pictures and masks', async () => {
    using folder = temporaryFolder();
    await using dataset = await JsonlDataset.open(await writeSamples(folder, 10));
    await using loader = loaderOf(dataset, { batchSize: 4 });
    assert.equal(loader.length, 3);
    const ids: string[] = [];
    for (const index of [0, 1, 2]) {
      const batch = await loader.batch(index);
      assert.equal(batch.index, index);
      for (const [i, sample] of batch.samples.entries()) {
        ids.push(sample.id);
        const { image, masks } = { image: batch.images[i], masks: batch.masks[i] };
        assert.deepEqual([image?.height, image?.width, image?.data.length], [...sampleSize, 12 * 9 * 3]);
        assert.equal(masks?.length, sample.masks.length);
        const number = Number(sample.id.split('-')[1]);
        for (const [k, mask] of (masks ?? []).entries()) assert.equal(mask.filter((pixel) => pixel === 1).length, 1 + number + k);
      }
    }
    assert.equal(new Set(ids.slice(0, 10)).size, 10);
  });

  test('is the same in whatever order it is asked for, by whatever threads', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 7);
    const forwards = await digests(path, [0, 1, 2, 3, 4, 5]);
    assert.equal(new Set(forwards).size, 6);
    assert.deepEqual((await digests(path, [5, 4, 3, 2, 1, 0], { ahead: 1 })).reverse(), forwards);
    assert.deepEqual(await digests(path, [0, 1, 2, 3, 4, 5], { workers: 2, ahead: 3 }), forwards);
    assert.deepEqual(await digests(path, [4, 4, 1], { workers: 1, ahead: 0 }), [forwards[4], forwards[4], forwards[1]]);
  });

  test('is the same after the process was killed', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 9);
    appendFileSync(path, `${(await badLines(folder)).map(([, line]) => line).join('\n')}\n`);
    const killed: string[] = [];
    for (const count of [2, 4]) killed.push(...(await killedAfter(count, path, killed.length)));
    assert.deepEqual(killed, await digests(path, [0, 1, 2, 3, 4, 5], { onBadSample: 'skip' }));
  });

  test('is of one rank alone', async () => {
    using folder = temporaryFolder();
    await using dataset = await JsonlDataset.open(await writeSamples(folder, 12));
    const idsOf = async (rank: number, world: number, batchSize: number) => {
      await using loader = loaderOf(dataset, { rank, world, batchSize });
      const ids: string[] = [];
      for (let index = 0; index < loader.length; index++) ids.push(...(await loader.batch(index)).samples.map(({ id }) => id));
      return ids;
    };
    const ranks = await Promise.all([0, 1, 2].map((rank) => idsOf(rank, 3, 2)));
    expect(ranks.map((ids) => ids.length)).toEqual([4, 4, 4]);
    assert.equal(new Set(ranks.flat()).size, 12);
    // Batch 0 of all ranks is what one process takes first.
    assert.deepEqual(new Set(ranks.flatMap((ids) => ids.slice(0, 2))), new Set((await idsOf(0, 1, 6)).slice(0, 6)));
  });

  test('of captions has no masks, one of 60 has 60, one of a pixel has the pixel', async () => {
    expect((await batchOf(sampleLine('caption', 'pictures/0.png', []))).masks).toEqual([[]]);
    const text = await batchOf(sampleLine('text', undefined, []));
    expect([text.images, text.masks]).toEqual([[undefined], [[]]]);
    const sixty = await batchOf(
      sampleLine(
        'sixty',
        'pictures/0.png',
        Array.from({ length: 60 }, (_, i) => stripe(i, 3)),
      ),
    );
    assert.equal(sixty.masks[0]?.length, 60);
    const pixel = await batchOf(sampleLine('pixel', 'pictures/0.png', [stripe(0, 1)]));
    assert.deepEqual([...(pixel.masks[0]?.[0] ?? [])], [1, ...Array(12 * 9 - 1).fill(0)]);
  });
});

describe('a bad sample', () => {
  test('is an error that names file, line, field and why', async () => {
    using folder = temporaryFolder();
    const lines = await badLines(folder);
    assert.deepEqual(new Set(lines.map(([problem]) => problem)), new Set(sampleProblems));
    for (const [problem, line] of lines) {
      const path = folder.file('bad.jsonl', `${line}\n`);
      await using dataset = await JsonlDataset.open(path);
      await using loader = loaderOf(dataset, { workers: problem === 'rle' ? 1 : 0 });
      await assert.rejects(loader.batch(0), (error) => {
        assert.ok(error instanceof SampleError, `${problem}: ${error}`);
        assert.equal(error.problem, problem);
        assert.ok(error.message.startsWith(`${path}:1: ${error.field ? `${error.field}: ` : ''}`), error.message);
        return true;
      });
    }
  });

  test('is told of in words', async () => {
    const messageOf = (line: string) =>
      batchOf(line).then(
        () => 'none',
        (error: Error) => error.message.replace(/^.*one\.jsonl/, '').replace(/"\/.*\//, '"'),
      );
    assert.equal(await messageOf(sampleLine('a', 'pictures/none.png')), ':1: image: image: "none.png" does not exist');
    assert.equal(await messageOf(sampleLine('a', undefined)), ':1: image: is missing, but there are masks');
    assert.equal(
      await messageOf(sampleLine('a', 'pictures/0.png', [stripe(0, 4, [2, 3])])),
      ':1: masks[0]: is [2, 3], expected [9, 12], the size of the picture',
    );
    assert.equal(
      await messageOf(sampleLine('a', 'pictures/0.png', [{ size: sampleSize, counts: [108] }])),
      ':1: masks[0]: has no pixel, expected at least one',
    );
  });

  test('is skipped and counted, and another stands in for it, always the same', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 10);
    const bad = await badLines(folder);
    appendFileSync(path, `${bad.map(([, line]) => line).join('\n')}\n`);
    await using dataset = await JsonlDataset.open(path);
    const told: string[] = [];
    await using loader = loaderOf(dataset, { onBadSample: 'skip', onSkip: (error) => told.push(error.problem) });
    let skipped = 0;
    for (let index = 0; index < loader.length; index++) {
      const batch = await loader.batch(index);
      assert.equal(batch.samples.length, 2);
      skipped += batch.skipped;
    }
    // Each comes once in the order of the set, and may come again in the place of another.
    assert.ok(skipped >= bad.length && told.length === skipped);
    assert.deepEqual(new Set(told), new Set(sampleProblems));
    assert.equal(
      [...loader.skipped.values()].reduce((a, b) => a + b, 0),
      skipped,
    );
    for (const [problem, count] of loader.skipped) assert.equal(told.filter((one) => one === problem).length, count);
    assert.deepEqual(await digests(path, [3, 7], { onBadSample: 'skip', workers: 1 }), [
      digestOf(await loader.batch(3)),
      digestOf(await loader.batch(7)),
    ]);
  });

  test('ends the run when there is no good one', async () => {
    using folder = temporaryFolder();
    await using dataset = await JsonlDataset.open(folder.file('bad.jsonl', '{}\n[]\n'));
    await using loader = loaderOf(dataset, { onBadSample: 'skip', ahead: 0 });
    await assert.rejects(
      loader.batch(0),
      (error) =>
        error instanceof DataError &&
        !(error instanceof SampleError) &&
        /bad\.jsonl: 101 samples in a row are bad, the last: /.test(error.message),
    );
  });
});

describe('ranks', () => {
  const texts = (length: number): Dataset => ({
    name: `${length} texts`,
    length,
    get: async (index) => ({
      id: `${length}-${index}`,
      conversation: [{ question: 'What?', answer: 'That.' }],
      masks: [],
      task: 'caption',
    }),
  });
  const small = (max: number) => fc.integer({ min: 1, max });

  test('share out the draws of one process, however many there are', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(small(20), { minLength: 1, maxLength: 3 }),
        small(4),
        small(4),
        fc.nat(),
        async (lengths, world, batchSize, seed) => {
          const sets = lengths.map(texts);
          const weighted = new Mixture(
            sets.map((dataset, i) => ({ dataset, weight: i + 1 })),
            seed,
          );
          for (const mixture of [weighted, new EachOnce(sets, seed)]) {
            const ids: string[] = [];
            for (let rank = 0; rank < world; rank++) {
              await using loader = new Loader({ mixture, batchSize, rank, world, workers: 0, ahead: 0 });
              for (let index = 0; index < loader.length; index++) ids.push(...(await loader.batch(index)).samples.map(({ id }) => id));
            }
            const positions = world * batchSize * Math.ceil(mixture.length / (batchSize * world));
            const drawn = Array.from({ length: positions }, (_, position) => mixture.draw(position)).flatMap((one) => one ?? []);
            expect(ids.sort()).toEqual(drawn.map(({ part, index }) => `${lengths[part]}-${index}`).sort());
            if (mixture !== weighted) assert.equal(new Set(ids).size, mixture.length);
          }
        },
      ),
      { numRuns: 15 },
    ));
});

describe('each sample once', () => {
  test('is so over batches and ranks; the last batch is short, and those behind it empty', async () => {
    using folder = temporaryFolder();
    await using dataset = await JsonlDataset.open(await writeSamples(folder, 11));
    const ids: string[][] = [];
    for (const rank of [0, 1]) {
      await using loader = new Loader({ mixture: new EachOnce([dataset]), batchSize: 3, rank, world: 2, workers: 0 });
      assert.equal(loader.length, 2);
      for (const index of [0, 1, 2]) ids.push((await loader.batch(index)).samples.map(({ id }) => id));
    }
    expect(ids.map(({ length }) => length)).toEqual([3, 3, 0, 3, 2, 0]);
    assert.equal(new Set(ids.flat()).size, 11);
  });

  test('leaves bad ones out, and counts them', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 4);
    const bad = await badLines(folder);
    appendFileSync(path, `${bad.map(([, line]) => line).join('\n')}\n`);
    await using dataset = await JsonlDataset.open(path);
    await using loader = new Loader({ mixture: new EachOnce([dataset]), batchSize: 14, workers: 0, onBadSample: 'skip' });
    const batch = await loader.batch(0);
    assert.deepEqual([batch.samples.length, batch.images.length, batch.masks.length, batch.skipped], [4, 4, 4, bad.length]);
  });
});

test('samples of a data set that looks at nothing are looked at', async () => {
  const sample = { id: 'a', conversation: [{ question: 'What?', answer: '[SEG]' }], masks: [], task: 'caption' };
  await using loader = loaderOf({ name: 'scenes', length: 1, get: async () => sample });
  await assert.rejects(loader.batch(0), {
    name: 'SampleError',
    message: /^scenes:1: masks: has 0, expected as many as there are \[SEG\] in the answers, 1$/,
  });
});

describe('a loader', () => {
  test('reads no further ahead than it may', async () => {
    using folder = temporaryFolder();
    await using file = await JsonlDataset.open(await writeSamples(folder, 40));
    let read = 0;
    const counted: Dataset = {
      name: 'counted',
      length: file.length,
      get: (index) => {
        read++;
        return file.get(index);
      },
    };
    await using loader = loaderOf(counted, { ahead: 3 });
    await loader.batch(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(read, 2 * 4);
    await loader.batch(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(read, 2 * 5);
  });

  test('gives up when it is told to', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 8);
    await using dataset = await JsonlDataset.open(path);
    await using loader = loaderOf(dataset, { workers: 1 });
    await assert.rejects(loader.batch(0, { signal: AbortSignal.abort() }), AbortedError);
    const controller = new AbortController();
    const given = loader.batch(0, { signal: controller.signal });
    controller.abort();
    await assert.rejects(given, (error) => error instanceof AbortedError && error.message === 'loader: aborted');
    expect([digestOf(await loader.batch(0))]).toEqual(await digests(path, [0]));
  });

  test('has nothing more once it is closed', async () => {
    using folder = temporaryFolder();
    await using dataset = await JsonlDataset.open(await writeSamples(folder, 8));
    const loader = loaderOf(dataset, { workers: 1, batchSize: 4 });
    const [first, second] = [loader.batch(0), loader.batch(1)];
    const refused = Promise.all([first, second].map((one) => assert.rejects(one, AbortedError)));
    await loader.close();
    await refused;
    await assert.rejects(loader.batch(2), { name: 'AbortedError', message: 'loader: it was closed' });
    await loader.close();
  });

  test('serves several callers', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 20);
    await using dataset = await JsonlDataset.open(path);
    await using loader = loaderOf(dataset, { workers: 1, ahead: 1 });
    const batches = await Promise.all([9, 0, 5, 0].map((index) => loader.batch(index)));
    expect(batches.map(digestOf)).toEqual(await digests(path, [9, 0, 5, 0]));
  });

  test('refuses options that are none', () => {
    const dataset: Dataset = { name: 'set', length: 4, get: async () => Promise.reject(new Error('unread')) };
    const refused = (options: Options, message: string) => assert.throws(() => loaderOf(dataset, options), new ArgumentError(message));
    refused({ batchSize: 0 }, 'loader: batchSize is 0, expected a whole number, 1 or more');
    refused({ rank: 2, world: 2 }, 'loader: rank is 2, expected below world, which is 2');
    refused({ workers: 1.5 }, 'loader: workers is 1.5, expected a whole number, 0 or more');
    refused({ batchesPerEpoch: 0 }, 'loader: batchesPerEpoch is 0, expected a whole number, 1 or more');
    refused({ onBadSample: 'ignore' as 'skip' }, 'loader: onBadSample is "ignore", expected skip or fail');
    refused({ onBadsample: 'skip' } as Options, 'loader: onBadsample is no option; did you mean onBadSample?');
    return assert.rejects(
      loaderOf(dataset).batch(-1),
      new ArgumentError('loader: batch -1 was asked for, expected a whole number, 0 or more'),
    );
  });
});

/** Digests that a process printed, from batch `first` on, before it was killed. */
async function killedAfter(count: number, path: string, first: number): Promise<string[]> {
  const child = spawn(process.execPath, [require.resolve('tsx/cli'), join(__dirname, 'print_batches.ts'), path, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const found: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    found.push(line);
    if (found.length === count) break;
  }
  process.kill(-(child.pid as number), 'SIGKILL'); // tsx and the process that it started
  return found;
}
