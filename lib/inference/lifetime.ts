import { DisposedError } from '../errors';
import type { Device } from '../native';
import { empty } from '../tensor/create';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';

/** Of something that is used by work which takes time: it is freed when the last of that has ended, and begins none afterwards. */
export class Lifetime {
  readonly #what: string;
  #running = 0;
  #ending?: Promise<void>;
  #ended = () => {};

  /** @param what - for the message: `the model`. */
  constructor(what: string) {
    this.#what = what;
  }

  /** @throws DisposedError once the end has begun. */
  expectGoing(): void {
    if (this.#ending !== undefined) throw new DisposedError(`${this.#what} was disposed`);
  }

  /** Counts work until it is disposed. @throws DisposedError once the end has begun. */
  enter(): Disposable {
    this.expectGoing();
    this.#running++;
    let isRunning = true;
    const leave = () => {
      if (!isRunning) return;
      isRunning = false;
      this.#running--;
      if (this.#running === 0) this.#ended();
    };
    return { [Symbol.dispose]: leave };
  }

  /** Runs `body`, which computes on `device`, as work. @throws DisposedError once the end has begun. */
  async during<Result>(device: Device, body: () => Promise<Result>): Promise<Result> {
    using _work = this.enter();
    return await onDevice(device, body);
  }

  /** Lets nothing more begin, waits for what runs, then frees what is on `device`. Called again it waits for the same. */
  end(device: Device, free: () => void): Promise<void> {
    this.#ending ??= new Promise<void>((resolve) => {
      this.#ended = resolve;
      if (this.#running === 0) resolve();
    }).then(async () => {
      free();
      // Ops that were given up hold their tensors until it is their turn: a read of nothing comes after them. On a device that has
      // failed there is none to wait for, and whoever reads there is told.
      await onDevice(device, () => tidy(() => empty([0]).read())).catch(() => {});
    });
    return this.#ending;
  }
}
