/** What a device can do at most, measured at the start of a run: the CPU by bench/probe.cpp, a GPU by PyTorch on it. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TorchPeer } from './torch_peer';

export interface Limits {
  device: 'cpu' | 'cuda';
  /** That it was measured with. */
  threads: number;
  /** On the simulator of a GPU, whose times say nothing. */
  simulated?: boolean;
  /** Fused multiply-adds in f32 registers; on a GPU a product of matrices. */
  f32Gigaflops?: number;
  /** Products of bf16 summed in f32, by the best unit there is (AMX, AVX512-BF16, else f32). */
  bf16Gigaflops?: number;
  /** Reading a buffer that no cache holds; on a GPU copying one, bytes read and written. */
  readGigabytes?: number;
}

const build = join(__dirname, '../build');
const probe = join(build, 'bench/mglmm_probe');

/** Threads alone, after a line that says why, when the probe cannot be built. */
export function measureLimits(threads: number): Limits {
  const refused = (reason: string): Limits => {
    console.log(`limits were not measured: ${reason}`);
    return { device: 'cpu', threads };
  };
  if (!existsSync(join(build, 'CMakeCache.txt'))) return refused('there is no build folder, run npm run build');
  const built = spawnSync('cmake', ['--build', build, '--target', 'mglmm_probe'], { encoding: 'utf8' });
  if (built.status !== 0) return refused(built.error?.message ?? built.stdout.trim().split('\n').slice(-5).join('\n'));
  const run = spawnSync(probe, [String(threads)], { encoding: 'utf8' });
  if (run.status !== 0) return refused(run.error?.message ?? run.stderr.trim());
  return { device: 'cpu', threads, ...(JSON.parse(run.stdout) as object) };
}

/** Of the GPU that the peer is on. Numbers are random: a product of zeros is faster than any that is worth something. */
export async function measureGpuLimits(threads: number, peer: TorchPeer): Promise<Limits> {
  const [side, bytes] = [8192, 2 ** 32];
  const secondsOf = async (setup: string, run: string) => {
    await peer.open({ setup, run });
    await peer.block(3);
    const seconds = Math.min((await peer.block(10)).seconds, (await peer.block(10)).seconds) / 10;
    await peer.close();
    return seconds;
  };
  const product = (dtype: string) => secondsOf(`a, b = (torch.randn(${side}, ${side}).to(${dtype}) for _ in range(2))`, 'a @ b');
  const flops = 2 * side ** 3;
  return {
    device: 'cuda',
    threads,
    f32Gigaflops: flops / (await product('torch.float32')) / 1e9,
    bf16Gigaflops: flops / (await product('torch.bfloat16')) / 1e9,
    readGigabytes: (2 * bytes) / (await secondsOf(`x = torch.randn(${bytes / 4})\ny = torch.empty_like(x)`, 'y.copy_(x)')) / 1e9,
  };
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
