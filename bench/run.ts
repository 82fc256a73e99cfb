/**
 * npx tsx bench/run.ts [NAME...] [--json FILE] [--blocks N] [--case TEXT]: times the case files bench/ops/NAME.ts and
 * bench/models/NAME.ts, all of them when none is named. Exits with 1 when a side failed.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Case, MemoryUse, Result } from './harness';
import type { Limits } from './limits';

// Before the library is loaded, which reads it.
process.env.MGLMM_THREADS ??= '2';

const caseFiles = new Map(
  ['ops', 'models'].flatMap((folder) =>
    readdirSync(join(__dirname, folder))
      .sort()
      .map((file) => [file.replace(/\.ts$/, ''), join(__dirname, folder, file)]),
  ),
);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' }, blocks: { type: 'string', default: '9' }, case: { type: 'string', default: '' } },
  });
  const { beside, measure } = require('./harness') as typeof import('./harness');
  const { measureLimits } = require('./limits') as typeof import('./limits');
  const { TorchPeer, peerKeepsMemory } = require('./torch_peer') as typeof import('./torch_peer');
  const { backendName, synchronize } = require('../lib') as typeof import('../lib');

  const threads = Number(process.env.MGLMM_THREADS);
  const blocks = Math.max(7, Number(values.blocks));
  const names = positionals.length > 0 ? positionals : [...caseFiles.keys()];

  const peer = await TorchPeer.start(threads);
  const machine = {
    processor: cpus()[0]?.model,
    cores: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    threads,
    backend: backendName(),
    torch: typeof peer === 'string' ? undefined : peer.version,
    peerKeepsMemory,
    node: process.version,
  };
  console.log(`${machine.processor}, ${machine.cores} cores, ${threads} threads a side, ours: ${machine.backend}, node ${process.version}`);
  console.log(typeof peer === 'string' ? `PyTorch was not found, only our side is timed (${peer})` : `PyTorch ${peer.version}`);
  const limits = measureLimits(threads);
  console.log(`limits: ${describeLimits(limits)}\n`);

  const results: Result[] = [];
  console.log(row(['case', 'ours ms', 'quartiles', 'torch ms', 'ratio', 'rate', 'of limit', 'goal']));
  for (const name of names) {
    for (const one of casesOf(name)) {
      if (!one.name.includes(values.case)) continue;
      const result = beside(await measure(one, typeof peer === 'string' ? undefined : peer, limits, blocks), one, results);
      await synchronize().catch(() => undefined); // its error is among the failures
      results.push(result);
      console.log(row(cells(result)));
      if (result.memory) console.log(`  ${describeMemory(result.memory)}`);
      const { lighter, met } = result;
      if (lighter) {
        const [memory, time] = [lighter.memory.toFixed(2), lighter.time.toFixed(2)];
        console.log(`  ${memory} times less than ${lighter.name}, in ${time} times the time: ${met ? 'met' : 'MISSED'}`);
      }
      for (const failure of result.failures) console.log(`  FAILED ${failure}`);
    }
  }
  if (typeof peer !== 'string') peer.end();
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    writeFileSync(values.json, `${JSON.stringify({ date: new Date().toISOString(), machine, limits, results }, null, 2)}\n`);
  }
  if (results.length === 0) throw new Error(`no case matches ${names.join(', ')} ${values.case}`);
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const missed = results.filter(({ met }) => met === false).length;
  console.log(`\n${results.length} cases, ${failed} failed, ${missed} below their goal`);
  if (failed > 0) process.exitCode = 1;
}

function casesOf(name: string): Case[] {
  const file = caseFiles.get(name);
  if (!file) throw new Error(`there is no case file ${name}, expected one of ${[...caseFiles.keys()].join(', ')}`);
  const { default: cases } = require(file) as { default: Case | Case[] | Case[][] };
  return [cases].flat(2) as Case[];
}

const milliseconds = (seconds: number) => (seconds * 1000).toPrecision(seconds >= 0.1 ? 4 : 3);

function cells({ name, ours, torch, ratio, gigaflops, gigabytes, share, goal, met }: Result): string[] {
  const rates = [gigaflops && `${gigaflops.toPrecision(3)} GFLOP/s`, gigabytes && `${gigabytes.toPrecision(3)} GB/s`];
  const wanted = goal === undefined ? '' : typeof goal === 'number' ? `${goal}x` : `${Math.round(100 * goal.share)} %`;
  return [
    name,
    ours ? milliseconds(ours.median) : 'failed',
    ours ? `${milliseconds(ours.lowerQuartile)}..${milliseconds(ours.upperQuartile)}` : '',
    torch ? milliseconds(torch.median) : '-',
    ratio ? `${ratio.toFixed(2)}x` : '-',
    rates.filter(Boolean).join(', '),
    share ? `${(100 * share).toFixed(0)} %` : '',
    wanted && `${wanted} ${met === undefined ? 'not judged' : met ? 'met' : 'MISSED'}`,
  ];
}

function describeMemory({ ours, torch, transient }: MemoryUse): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;
  const peer = torch ? `, torch's ${gigabytes(torch)}` : '';
  return `resident at most ${gigabytes(ours)}${peer}; tensors of a run ${gigabytes(transient)}`;
}

function row(columns: string[]): string {
  const widths = [46, 9, 17, 9, 8, 28, 9, 16];
  return columns.map((text, i) => (i === 0 ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number))).join(' ');
}

function describeLimits({ f32Gigaflops, bf16Gigaflops, readGigabytes }: Limits): string {
  const known = (value: number | undefined, unit: string) => (value ? `${value.toPrecision(3)} ${unit}` : 'unknown');
  return `f32 ${known(f32Gigaflops, 'GFLOP/s')}, bf16 ${known(bf16Gigaflops, 'GFLOP/s')}, read ${known(readGigabytes, 'GB/s')}`;
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exit(1);
});
