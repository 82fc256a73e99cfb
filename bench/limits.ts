/** What this machine can do at most, measured by bench/probe.cpp at the start of a run. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Limits {
  /** That it was measured with. */
  threads: number;
  /** Fused multiply-adds in f32 registers. */
  f32Gigaflops?: number;
  /** Products of bf16 summed in f32, by the best unit there is (AMX, AVX512-BF16, else f32). */
  bf16Gigaflops?: number;
  /** Reading a buffer that no cache holds. */
  readGigabytes?: number;
}

const build = join(__dirname, '../build');
const probe = join(build, 'bench/mglmm_probe');

/** Threads alone, after a line that says why, when the probe cannot be built. */
export function measureLimits(threads: number): Limits {
  const refused = (reason: string): Limits => {
    console.log(`limits were not measured: ${reason}`);
    return { threads };
  };
  if (!existsSync(join(build, 'CMakeCache.txt'))) return refused('there is no build folder, run npm run build');
  const built = spawnSync('cmake', ['--build', build, '--target', 'mglmm_probe'], { encoding: 'utf8' });
  if (built.status !== 0) return refused(built.error?.message ?? built.stdout.trim().split('\n').slice(-5).join('\n'));
  const run = spawnSync(probe, [String(threads)], { encoding: 'utf8' });
  if (run.status !== 0) return refused(run.error?.message ?? run.stderr.trim());
  return { threads, ...(JSON.parse(run.stdout) as object) };
}

/** Reads memory when asked to: on a machine whose memory others use, what it gives changes from one second to the next. */
export class ReadProbe {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(threads: number) {
    this.#child = spawn(probe, [String(threads), 'read']);
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** GB/s of reading 1.5 GiB once. */
  async gigabytes(): Promise<number> {
    this.#child.stdin.write('\n');
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('bench/probe.cpp ended, expected GB/s');
    return Number(value);
  }

  end(): void {
    this.#child.stdin.end();
  }
}
