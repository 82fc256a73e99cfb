/**
 * npx tsx bench/run.ts [NAME...] [--device cpu|cuda] [--skip NAME,...] [--case TEXT] [--goals] [--blocks N] [--json FILE] [--markdown FILE]:
 * times the case files bench/ops/NAME.ts and bench/models/NAME.ts, all of them when none is named; with --goals the cases alone that
 * have one on this device. The files are written anew after each case. Exits with 1 when a side failed.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Case, Result } from './harness';
import type { Limits } from './limits';

// Before the library is loaded, which reads it.
process.env.MGLMM_THREADS ??= '2';

const caseFiles = new Map(
  ['ops', 'models'].flatMap((folder) =>
    readdirSync(join(__dirname, folder))
      .sort()
      .map((file) => [file.replace(/\.ts$/, ''), join(__dirname, folder, file)] as const),
  ),
);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      skip: { type: 'string', default: '' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      blocks: { type: 'string', default: '9' },
      case: { type: 'string', default: '' },
      goals: { type: 'boolean', default: false },
    },
  });
  const { device } = values;
  if (device !== 'cpu' && device !== 'cuda') throw new Error(`--device is ${device}, expected cpu or cuda`);
  const { beside, goalOf, measure } = require('./harness') as typeof import('./harness');
  const { measureGpuLimits, measureLimits } = require('./limits') as typeof import('./limits');
  const { describeLimits, headerLine, linesOf, markdownOf } = require('./report') as typeof import('./report');
  const { TorchPeer, peerKeepsMemory } = require('./torch_peer') as typeof import('./torch_peer');
  const { backendName, setDefaultDevice, synchronize } = require('../lib') as typeof import('../lib');

  setDefaultDevice(device);
  const threads = Number(process.env.MGLMM_THREADS);
  const blocks = Math.max(7, Number(values.blocks));
  const skipped = values.skip.split(',');
  const names = (positionals.length > 0 ? positionals : [...caseFiles.keys()]).filter((name) => !skipped.includes(name));

  // The simulator has no GPU to compare with: what its times say is nothing, but that the cases run.
  const isSimulated = device === 'cuda' && process.env.MGLMM_CUDA === 'simulated';
  const peer = await TorchPeer.start(threads, isSimulated ? 'cpu' : device);
  const machine = {
    processor: cpus()[0]?.model,
    cores: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    threads,
    backend: backendName(device),
    torch: typeof peer === 'string' ? undefined : peer.version,
    peerKeepsMemory,
    node: process.version,
  };
  const about = [
    `${machine.processor}, ${machine.cores} cores, ${threads} threads a side, ours: ${machine.backend}, node ${process.version}`,
    typeof peer === 'string' ? `PyTorch was not found, only our side is timed (${peer})` : `PyTorch ${peer.version}`,
  ];
  console.log(about.join('\n'));
  const unmeasured: Limits = { device, threads, simulated: isSimulated };
  const gpuLimits = async () => (typeof peer === 'string' || isSimulated ? unmeasured : measureGpuLimits(threads, peer));
  const limits = device === 'cpu' ? measureLimits(threads) : await gpuLimits();
  about.push(`limits: ${describeLimits(limits)}`);
  console.log(`${about.at(-1)}\n`);

  const results: Result[] = [];
  const date = new Date().toISOString();
  const keep = () => {
    if (values.json) write(values.json, `${JSON.stringify({ date, machine, limits, results }, null, 2)}\n`);
    if (values.markdown) write(values.markdown, markdownOf([...about.map((line) => `- ${line}`), `- ${date}`], results, limits));
  };
  console.log(headerLine);
  for (const one of names.flatMap(casesOf)) {
    if (!one.name.includes(values.case) || (one.gpuOnly && device === 'cpu')) continue;
    if (values.goals && goalOf(one, device) === undefined) continue;
    const result = beside(await measure(one, typeof peer === 'string' ? undefined : peer, limits, blocks), one, results);
    await synchronize().catch(() => undefined); // its error is among the failures
    results.push(result);
    console.log(linesOf(result, limits));
    keep();
  }
  if (typeof peer !== 'string') peer.end();
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

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exit(1);
});
