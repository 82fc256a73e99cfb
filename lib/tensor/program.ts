/**
 * Ops that are recorded once and then run by one call, as often as one likes, in the order of the recording: what is done
 * again and again with the same shapes, such as a step of generation, costs JavaScript next to nothing.
 */
import { GradientError } from '../errors';
import { guarded, native } from '../native';
import { ambient } from './ambient';

export class Program implements Disposable {
  readonly #program: unknown = native.makeProgram();

  /**
   * Adds the ops that `body` calls to the program instead of running them. The tensors it makes get their values when the
   * program runs, and new ones with every run; those that are disposed by then need no memory between runs, but on a
   * GPU what the program keeps for all of them. What is to change from run to run is written into tensors that `body` reads:
   * {@link copyInto}.
   * @param body - synchronous; no gradient is recorded, so it is called inside {@link noGradients}.
   * @throws GradientError outside of noGradients; ArgumentError when the program has run before.
   */
  record<Result>(body: () => Result): Result {
    if (ambient().gradients) throw new GradientError('program: gradients are being recorded, expected to be inside noGradients()');
    guarded(() => native.recordProgram(this.#program));
    try {
      return body();
    } finally {
      native.recordProgram();
    }
  }

  /** Enqueues a run. Under {@link abortable} the ops that have not begun when its signal fires are skipped. */
  run(): void {
    guarded(() => native.runProgram(this.#program, ambient().token));
  }

  /** Frees what the program holds, once the runs that were enqueued are done. */
  dispose(): void {
    native.disposeProgram(this.#program);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
