/** Threads that decode samples. */
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AbortedError, DataError } from '../errors';
import { type DecodeRequest, type DecodeResult, decodeSample } from './decode_sample';
import type { WorkerAnswer, WorkerTask } from './decode_worker';
import { imageName } from './sample';

interface Task {
  readonly request: DecodeRequest;
  readonly signal?: AbortSignal;
  resolve(result: DecodeResult): void;
  reject(error: Error): void;
}

/** So that the picture of one sample is decoded, on sharp's threads, while the masks of another are. */
const samplesAThread = 2;

/** Threads start when they are first needed, and do not keep the process alive while they wait. */
export class DecodePool {
  readonly #size: number;
  readonly #waiting: Task[] = [];
  readonly #threads = new Map<Worker, Map<number, Task>>();
  #nextId = 0;
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
      [...this.#threads.keys()].map(async (worker) => {
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        worker.ref();
        worker.postMessage('end');
        await ended;
      }),
    );
  }

  #next(): void {
    for (;;) {
      const [task] = this.#waiting;
      if (task?.signal?.aborted) {
        this.#waiting.shift();
        task.reject(aborted(task.signal));
        continue;
      }
      if (!task) return;
      const worker = this.#free();
      if (!worker) return;
      this.#waiting.shift();
      const id = this.#nextId++;
      this.#threads.get(worker)?.set(id, task);
      worker.ref();
      worker.postMessage({ id, request: task.request } satisfies WorkerTask);
    }
  }

  /** The thread with the least to do, or a new one while all have something; none when all have enough. */
  #free(): Worker | undefined {
    const [best] = [...this.#threads].sort(([, a], [, b]) => a.size - b.size);
    if (best?.[1].size === 0) return best[0];
    if (this.#threads.size < this.#size) return this.#start();
    return best && best[1].size < samplesAThread ? best[0] : undefined;
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
    const tasks = new Map<number, Task>();
    this.#threads.set(worker, tasks);
    worker.on('message', ({ id, result }: WorkerAnswer) => {
      const task = tasks.get(id);
      tasks.delete(id);
      if (tasks.size === 0 && !this.#closed) worker.unref(); // whoever closes waits for its end
      if ('error' in result) task?.reject(failed(task.request, result.error));
      else task?.resolve(result);
      this.#next();
    });
    const lost = (why: string, cause?: unknown) => {
      this.#threads.delete(worker);
      for (const task of tasks.values()) task.reject(failed(task.request, why, cause));
      tasks.clear();
      this.#next();
    };
    worker.on('error', (error) => lost(`the thread failed: ${error.message}`, error));
    worker.on('exit', (code) => lost(`the thread ended with code ${code}`));
    return worker;
  }
}

const failed = ({ image }: DecodeRequest, why: string, cause?: unknown) =>
  new DataError(`decoding ${image === undefined ? 'a sample without a picture' : imageName(image)}: ${why}`, { cause });
const closed = () => new AbortedError('decoding samples: the pool was closed');
const aborted = ({ reason }: AbortSignal) => new AbortedError('decoding samples: aborted', { cause: reason });
