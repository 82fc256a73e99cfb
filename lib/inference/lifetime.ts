import { DisposedError } from '../errors';
import type { Device } from '../native';
import { empty } from '../tensor/create';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';

/** Gives up work that stands still until somebody asks for more of it, who then gets `reason`; other work goes on. */
export type GiveUp = (reason: DisposedError) => void;

/** Of something that is used by work which takes time: it is freed when the last of that has ended, and begins none afterwards. */
export class Lifetime {
  readonly #what: string;
  /** What runs, and how to give it up. */
  readonly #running = new Set<{ readonly giveUp?: GiveUp }>();
  #ending?: Promise<void>;
  #ended = () => {};

  /** @param what - for the message: `the model`. */
  constructor(what: string) {
    this.#what = what;
  }

  /** @throws DisposedError once the end has begun. */
  expectGoing(): void {
    if (this.#ending !== undefined) throw this.#gone();
  }

  /** Counts work until it is disposed. @param giveUp - of work that may stand still. @throws DisposedError once the end has begun. */
  enter(giveUp?: GiveUp): Disposable {
    this.expectGoing();
    const work = { giveUp };
    this.#running.add(work);
    const leave = () => {
      if (this.#running.delete(work) && this.#running.size === 0) this.#ended();
    };
    return { [Symbol.dispose]: leave };
  }

  /** Runs `body`, which computes on `device`, as work. @throws DisposedError once the end has begun. */
  async during<Result>(device: Device, body: () => Promise<Result>): Promise<Result> {
    using _work = this.enter();
    return await onDevice(device, body);
  }

  /**
   * Lets nothing more begin, gives up what stands still, waits for what runs, then frees what is on `device`. Called again it waits for
   * the same.
   */
  end(device: Device, free: () => void): Promise<void> {
    this.#ending ??= new Promise<void>((resolve) => {
      this.#ended = resolve;
      for (const { giveUp } of this.#running) giveUp?.(this.#gone());
      if (this.#running.size === 0) resolve();
    }).then(async () => {
      free();
      // Ops that were given up hold their tensors until it is their turn: a read of nothing comes after them. On a device that has
      // failed there is none to wait for, and whoever reads there is told.
      await onDevice(device, () => tidy(() => empty([0]).read())).catch(() => {});
    });
    return this.#ending;
  }

  #gone(): DisposedError {
    return new DisposedError(`${this.#what} was disposed`);
  }
}
