/** PyTorch in a process of its own, spoken to in JSON lines: bench/peers/torch_peer.py. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TorchSide } from './harness';

/** Seconds of a block, and of what is taken off them. */
export interface Taken {
  seconds: number;
  less: number;
}

interface Answer extends Partial<Taken> {
  error?: string;
  peakBytes?: number;
  version?: string;
}

/**
 * glibc gives large blocks back as they are freed, so that PyTorch pays for fresh pages in each run. With `MGLMM_PEER_KEEPS_MEMORY=1` it
 * keeps them, as our allocator does: no user's PyTorch, but the one whose arithmetic is compared.
 */
export const peerKeepsMemory = process.env.MGLMM_PEER_KEEPS_MEMORY === '1';
const keepingAllocator = peerKeepsMemory ? { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 40) } : {};

export class TorchPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  #ended: string | undefined;
  version = '';

  private constructor(python: string, threads: number) {
    this.#child = spawn(python, [join(__dirname, 'peers', 'torch_peer.py')], {
      env: { ...process.env, OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads), ...keepingAllocator },
    });
    let complaint = '';
    this.#child.stderr.on('data', (text: Buffer) => {
      complaint = (complaint + text.toString()).slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.resolve(JSON.parse(line) as Answer));
    const end = (reason: string) => {
      this.#ended ??= reason;
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(this.#ended));
    };
    this.#child.on('error', (error) => end(error.message));
    this.#child.on('close', (code) => end(complaint.trim().split('\n').at(-1) || `${python} ended with ${code}`));
    this.#child.stdin.on('error', (error) => end(error.message));
  }

  /** A peer that can import torch and use the device, or why there is none. */
  static async start(threads: number, device: 'cpu' | 'cuda' = 'cpu'): Promise<TorchPeer | string> {
    const python = process.env.MGLMM_PYTHON ?? 'python3';
    const peer = new TorchPeer(python, threads);
    try {
      peer.version = (await peer.#ask({ op: 'hello', threads, device })).version as string;
      return peer;
    } catch (error) {
      peer.end();
      return `${python}: ${(error as Error).message}`;
    }
  }

  /** @param flushBytes - Copied on the device before each run, out of the time of the run. */
  async open({ setup, run, less, within }: TorchSide, flushBytes = 0): Promise<true> {
    await this.#ask({ op: 'open', setup, run, less, within, flushBytes });
    return true;
  }

  /** Another body for the timed loop, with the same set-up. */
  async use(run: string): Promise<void> {
    await this.#ask({ op: 'use', run });
  }

  /** Seconds that `runs` runs take, by the peer's own clock. */
  async block(runs: number): Promise<Taken> {
    return (await this.#ask({ op: 'block', runs })) as Taken;
  }

  /** Most that its process had resident since the case was opened; on a GPU, that its tensors held. */
  async peakBytes(): Promise<number> {
    return (await this.#ask({ op: 'memory' })).peakBytes as number;
  }

  async close(): Promise<void> {
    await this.#ask({ op: 'close' });
  }

  end(): void {
    this.#child.stdin.end();
  }

  async #ask(request: object): Promise<Answer> {
    const answer = await new Promise<Answer>((resolve, reject) => {
      if (this.#ended) return reject(new Error(this.#ended));
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if (answer.error) throw new Error(answer.error);
    return answer;
  }
}
