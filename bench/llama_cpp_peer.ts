/** llama.cpp in a process of its own, spoken to in JSON lines: bench/peers/llama_cpp_peer.js. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

interface Answer {
  error?: string;
  seconds?: number;
  version?: string;
}

export class LlamaCppPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  version = '';

  private constructor() {
    this.#child = spawn(process.execPath, [join(__dirname, 'peers', 'llama_cpp_peer.js')]);
    this.#child.stderr.resume();
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.#waiting.shift()?.resolve(JSON.parse(line) as Answer);
    });
    this.#child.on('close', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`it ended with ${code}`));
    });
  }

  /** A peer, or why there is none. */
  static async start(): Promise<LlamaCppPeer | string> {
    if (!process.env.MGLMM_LLAMA_CPP) return 'MGLMM_LLAMA_CPP is not set, expected a folder with node-llama-cpp in its node_modules';
    const peer = new LlamaCppPeer();
    try {
      peer.version = (await peer.#ask({ op: 'hello' })).version as string;
      return peer;
    } catch (error) {
      return `node-llama-cpp of ${process.env.MGLMM_LLAMA_CPP}: ${(error as Error).message}`;
    }
  }

  async open(path: string, context: number, threads: number): Promise<void> {
    await this.#ask({ op: 'open', path, context, threads });
  }

  /** Seconds to read `tokens`. */
  async prefill(tokens: number): Promise<number> {
    return (await this.#ask({ op: 'prefill', tokens })).seconds as number;
  }

  /** Seconds of `tokens` tokens behind a prompt, the first one not counted. */
  async decode(prompt: number, tokens: number): Promise<number> {
    return (await this.#ask({ op: 'decode', prompt, tokens })).seconds as number;
  }

  end(): void {
    this.#child.stdin.end();
  }

  async #ask(request: object): Promise<Answer> {
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if (answer.error) throw new Error(answer.error);
    return answer;
  }
}
