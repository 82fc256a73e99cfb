/** The threads of the loader start from JavaScript too, as they must in the package. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from '@jest/globals';
import { transformSync } from '@swc/core';
import { writeSamples } from '../support/samples';
import { temporaryFolder } from '../support/weights';

const lib = join(__dirname, '../../lib');

test('batches come from compiled code', async () => {
  using folder = temporaryFolder();
  const path = await writeSamples(folder, 6);
  for (const name of [
    'errors.ts',
    ...['data', 'image', 'text'].flatMap((room) => readdirSync(join(lib, room)).map((file) => join(room, file))),
  ]) {
    const { code } = transformSync(readFileSync(join(lib, name), 'utf8'), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'commonjs' },
    });
    mkdirSync(dirname(folder.file(name)), { recursive: true });
    folder.file(name.replace(/\.ts$/, '.js'), code);
  }
  const program = `
    const { JsonlDataset } = require('./data/jsonl'), { Loader } = require('./data/loader'), { Mixture } = require('./data/mixture');
    JsonlDataset.open(${JSON.stringify(path)}).then(async (dataset) => {
      const loader = new Loader({ mixture: new Mixture([{ dataset }]), batchSize: 6, workers: 2 });
      const { samples, images, masks } = await loader.batch(0);
      console.log(JSON.stringify([samples.length, images.map(({ data }) => data.length), masks.flat().length]));
      const closed = new Loader({ mixture: new Mixture([{ dataset }]), batchSize: 6, workers: 2 });
      closed.batch(0).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      await closed.close(); // while its threads are at work
      console.log('closed');
      await dataset.close(); // and not the first loader: threads that wait keep no process alive
    });`;
  const out = execFileSync(process.execPath, [folder.file('program.js', program)], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { PATH: process.env.PATH, NODE_PATH: join(__dirname, '../../node_modules') },
  });
  assert.equal(out, `${JSON.stringify([6, Array(6).fill(12 * 9 * 3), 7])}\nclosed\n`);
});
