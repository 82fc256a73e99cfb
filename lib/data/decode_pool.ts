/** Threads that decode samples. */
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AbortedError, DataError } from '../errors';
import { type DecodeRequest, type DecodeResult, decodeSample } from './decode_sample';
import type { WorkerAnswer } from './decode_worker';

interface Task {
  readonly request: DecodeRequest;
  readonly signal?: AbortSignal;
  resolve(result: DecodeResult): void;
  reject(error: Error): void;
}

/** Threads start when they are first needed, work on one sample at a time each, and do not keep the process alive while they wait. */
export class DecodePool {
  readonly #size: number;
  readonly #waiting: Task[] = [];
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  #closed = false;

  /** @param size - threads; with 0 samples are decoded on the thread that asks, the pictures by sharp's own threads. */
  constructor(size: number) {
    this.#size = size;
  }

  /** @throws AbortedError when `signal` fired before its turn came, or the pool was closed; DataError when a thread failed. */
  async decode(request: DecodeRequest, signal?: AbortSignal): Promise<DecodeResult> {
    if (this.#closed) throw closed();
    if (signal?.aborted) throw aborted(signal);
    if (this.#size === 0) return decodeSample(request);
    // What a data set adds to its masks stays here: it may be of a kind that no thread can be sent.
    const sent = { ...request, masks: request.masks.map(({ size, counts }) => ({ size, counts })) };
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request: sent, signal, resolve, reject });
      this.#next();
    });
  }

  /** What waits is given up; what is being decoded is finished first, for a decoder that is torn down in its work takes the process along. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const task of this.#waiting.splice(0)) task.reject(closed());
    await Promise.all(
      [...this.#all].map(async (worker) => {
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        worker.ref();
        worker.postMessage('end');
        await ended;
      }),
    );
  }

  #next(): void {
    let task = this.#waiting[0];
    while (task?.signal?.aborted) {
      this.#waiting.shift();
      task.reject(aborted(task.signal));
      task = this.#waiting[0];
    }
    if (!task) return;
    const worker = this.#idle.pop() ?? (this.#all.size < this.#size ? this.#start() : undefined);
    if (!worker) return;
    this.#waiting.shift();
    this.#run(worker, task);
  }

  #run(worker: Worker, task: Task): void {
    const done = () => {
      worker.off('message', answered).off('error', failed).off('exit', ended);
      worker.unref();
    };
    const answered = (answer: WorkerAnswer) => {
      done();
      this.#idle.push(worker);
      if ('error' in answer) task.reject(new DataError(`decoding ${task.request.image}: ${answer.error}`));
      else task.resolve(answer);
      this.#next();
    };
    const lost = (why: string, cause?: unknown) => {
      done();
      this.#all.delete(worker);
      task.reject(new DataError(`decoding ${task.request.image}: ${why}`, { cause }));
      this.#next();
    };
    const failed = (error: Error) => lost(`the thread failed: ${error.message}`, error);
    const ended = (code: number) => lost(`the thread ended with code ${code}`);
    worker.on('message', answered).on('error', failed).on('exit', ended);
    worker.ref();
    worker.postMessage(task.request);
  }

  #start(): Worker {
    const file = join(__dirname, `decode_worker${extname(__filename)}`);
    const worker =
      extname(file) === '.ts'
        ? new Worker(`require(${JSON.stringify(require.resolve('tsx/cjs'))}); require(${JSON.stringify(file)});`, {
            eval: true,
            execArgv: [],
          })
        : new Worker(file);
    this.#all.add(worker);
    const forget = () => {
      this.#all.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at >= 0) this.#idle.splice(at, 1);
    };
    worker.on('error', forget).on('exit', forget);
    return worker;
  }
}

const closed = () => new AbortedError('decoding samples: the pool was closed');
const aborted = ({ reason }: AbortSignal) => new AbortedError('decoding samples: aborted', { cause: reason });
