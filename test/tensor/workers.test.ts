/** The process and its event loop while kernels run: timers, file reads, workers that come and are terminated. */
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { test } from '@jest/globals';
import { swiglu, synchronize, tidy } from '../../lib';
import { randn } from '../support/data';

const busy = (seconds: number) => {
  // About 4 ms an op on two threads; enough of them for `seconds`, measured first.
  const [gate, up] = [randn([1 << 20], 1), randn([1 << 20], 2)];
  return async () => {
    const begin = performance.now();
    for (let i = 0; i < 50; i++) swiglu(gate, up).dispose();
    await synchronize();
    const each = (performance.now() - begin) / 50;
    for (let i = 0; i < (seconds * 1000) / each; i++) swiglu(gate, up).dispose();
    return synchronize();
  };
};

test('a timer and file reads go on while a chain of ops runs', async () => {
  const run = busy(2);
  let done = false;
  const finished = run().then(() => {
    done = true;
  });
  let ticks = 0;
  let reads = 0;
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    ticks++;
    await readFile(__filename);
    reads++;
  }
  await finished;
  // How late they are is measured in bench/event_loop.ts; here only that the loop turned all along.
  assert.ok(ticks > 10 && reads > 10, `${ticks} ticks and ${reads} reads while the chain ran, expected more than 10`);
});

const script = `
  require(${JSON.stringify(require.resolve('tsx/cjs'))});
  const { tensor, swiglu } = require(${JSON.stringify(join(__dirname, '../../lib/index.ts'))});
  const { parentPort } = require('node:worker_threads');
  const x = tensor(new Float32Array(1 << 20).fill(0.5));
  let y = x;
  for (let i = 0; i < 2000; i++) { const next = swiglu(y, x); if (y !== x) y.dispose(); y = next; }
  y.read().then(() => parentPort.postMessage('done'));
  parentPort.postMessage('running');
`;

test('20 workers terminated in mid-run leave the process alive', async () => {
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        const worker = new Worker(script, { eval: true });
        await new Promise<void>((resolve, reject) => {
          worker.on('message', () => resolve());
          worker.on('error', reject);
        });
        await new Promise((resolve) => setTimeout(resolve, 3 * index));
        await worker.terminate();
      }),
    );
  }
  const y = tidy(() => swiglu(randn([3], 1), randn([3], 2)));
  assert.equal((await y.read()).length, 3);
}, 60_000);

test('four workers compute side by side', async () => {
  const small = script.replace('2000', '3');
  const results = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(small, { eval: true });
          worker.on('message', (message) => message === 'done' && resolve(message));
          worker.on('error', reject);
        }),
    ),
  );
  assert.equal(results.join(), 'done,done,done,done');
});
