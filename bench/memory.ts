/**
 * Does memory stay? RSS over 1,000 rounds of create, use, backward, drop inside scopes, after as many of warm-up with as many
 * collections: at about the twelfth some MB of what start-up left are given back, once. Bar: flat within 2 %, and tensors hold at the end
 * what they held at the start. Run with `node --expose-gc`.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { backward, memory, Scope, swiglu, synchronize, tensor } from '../lib';
import { randnArray } from '../test/support/data';

const data = randnArray(1 << 18, 1);

async function round(): Promise<void> {
  using _scope = Scope.open();
  const gate = tensor(data, [256, 1024]);
  gate.requiresGrad = true;
  const up = tensor(data, [256, 1024]);
  let y = gate;
  for (let i = 0; i < 8; i++) y = swiglu(y, up);
  backward(y, up);
  await gate.grad?.read();
  gate.grad?.dispose();
}

/** MB, every 50 rounds. */
async function rssOver(rounds: number): Promise<number[]> {
  const rss: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await round();
    if (i % 50 === 49) {
      global.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 50)); // V8 frees array buffers on a thread of its own
      rss.push(Math.round(process.memoryUsage.rss() / 1e4) / 100);
    }
  }
  return rss;
}

async function main(): Promise<void> {
  await rssOver(1000);
  await synchronize();
  const live = memory().liveBytes;
  const rss = await rssOver(1000);
  await synchronize();
  const growth = (rss.at(-1) as number) / (rss[0] as number) - 1;
  const met = Math.abs(growth) <= 0.02 && memory().liveBytes <= live;
  console.log(`memory on ${cpus()[0]?.model}: RSS every 50 rounds, MB: ${rss.join(' ')}`);
  console.log(
    `growth ${(100 * growth).toFixed(2)} %, tensors hold ${memory().liveBytes} bytes (before: ${live}): ${met ? 'met' : 'MISSED'}`,
  );
  const file = process.argv[2];
  if (file)
    await writeFile(
      file,
      `${JSON.stringify({ cpu: cpus()[0]?.model, rssMb: rss, growth, liveBytes: memory().liveBytes, met }, null, 1)}\n`,
    );
  if (!met) process.exitCode = 1;
}

void main();
