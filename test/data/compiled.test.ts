/** The threads of the loader start from JavaScript too, as they must in the package. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from '@jest/globals';
import { transformSync } from '@swc/core';
import { writeSamples } from '../support/samples';
import { temporaryFolder } from '../support/weights';

const lib = join(__dirname, '../../lib');

/** Compiles lib/, as far as batches need it, into a folder. */
function compileInto(folder: ReturnType<typeof temporaryFolder>): void {
  const rooms = ['data', 'image', 'text'].flatMap((room) =>
    readdirSync(join(lib, room), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(room, file)),
  );
  for (const name of ['abort.ts', 'checks.ts', 'errors.ts', ...rooms]) {
    const { code } = transformSync(readFileSync(join(lib, name), 'utf8'), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    mkdirSync(dirname(folder.file(name)), { recursive: true });
    folder.file(name.replace(/\.ts$/, '.js'), code);
  }
}

/** What `body`, which has `dataset` and `loaderOf(options)`, prints in a process of its own. */
function printed(folder: ReturnType<typeof temporaryFolder>, path: string, body: string): string {
  const program = `
    const { JsonlDataset } = require('./data/jsonl'), { Loader } = require('./data/loader'), { Mixture } = require('./data/mixture');
    JsonlDataset.open(${JSON.stringify(path)}).then(async (dataset) => {
      const loaderOf = (options) => new Loader({ mixture: new Mixture([{ dataset }]), batchSize: 6, workers: 2, ...options });
      ${body}
      await dataset.close();
    });`;
  return execFileSync(process.execPath, [folder.file('program.js', program)], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { PATH: process.env.PATH, NODE_PATH: join(__dirname, '../../node_modules') },
  });
}

test('batches come from compiled code, and threads that wait keep no process alive', async () => {
  using folder = temporaryFolder();
  compileInto(folder);
  const body = `
    const { samples, images, masks } = await loaderOf().batch(0);
    console.log(JSON.stringify([samples.length, images.map(({ data }) => data.length), masks.flat().length]));`;
  assert.equal(printed(folder, await writeSamples(folder, 6), body), `${JSON.stringify([6, Array(6).fill(12 * 9 * 3), 7])}\n`);
});

test('a loader that is closed while its threads work is closed when they are done', async () => {
  using folder = temporaryFolder();
  compileInto(folder);
  const body = `
    const loader = loaderOf();
    loader.batch(0).catch(({ name }) => console.log(name));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await loader.close();
    console.log('closed');`;
  assert.match(printed(folder, await writeSamples(folder, 40), body), /^(AbortedError\n)?closed\n$/);
});

test('a thread that fails is an error, even where bad samples are skipped', async () => {
  using folder = temporaryFolder();
  compileInto(folder);
  rmSync(folder.file('data/decode_worker.js'));
  const body = `await loaderOf({ onBadSample: 'skip' }).batch(0).catch(({ name, message }) => console.log(name, message));`;
  assert.match(
    printed(folder, await writeSamples(folder, 6), body),
    /^DataError decoding \S+\.png: the thread failed: Cannot find module '\S+decode_worker\.js'/,
  );
});
