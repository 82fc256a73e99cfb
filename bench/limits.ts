/** What this machine can do at most, measured by bench/probe.cpp at the start of a run. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Limits {
  /** Fused multiply-adds in f32 registers. */
  f32Gigaflops?: number;
  /** Products of bf16 summed in f32, by the best unit there is (AMX, AVX512-BF16, else f32). */
  bf16Gigaflops?: number;
  /** Reading a buffer that no cache holds. */
  readGigabytes?: number;
}

const build = join(__dirname, '../build');
const probe = join(build, 'bench/mglmm_probe');

/** Empty, with a line that says why, when the probe cannot be built. */
export function measureLimits(threads: number): Limits {
  if (!existsSync(join(build, 'CMakeCache.txt'))) return refused('there is no build folder, run npm run build');
  const built = spawnSync('cmake', ['--build', build, '--target', 'mglmm_probe'], { encoding: 'utf8' });
  if (built.status !== 0) return refused(built.error?.message ?? built.stdout.trim().split('\n').slice(-5).join('\n'));
  const run = spawnSync(probe, [String(threads)], { encoding: 'utf8' });
  if (run.status !== 0) return refused(run.error?.message ?? run.stderr.trim());
  return JSON.parse(run.stdout) as Limits;
}

function refused(reason: string): Limits {
  console.log(`limits were not measured: ${reason}`);
  return {};
}
