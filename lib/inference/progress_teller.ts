import type { ModelProgress } from './load_options';

/** Milliseconds between two reports. */
const pauseMs = 100;

/** Tells how far loading is, not more often than people read: but always the first and last of a phase. */
export class ProgressTeller {
  readonly #listener: ((progress: ModelProgress) => void) | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #phase?: ModelProgress['phase'];
  #total = 0;

  constructor(listener: ((progress: ModelProgress) => void) | undefined) {
    this.#listener = listener;
  }

  tell(phase: ModelProgress['phase'], loaded: number, total: number, file: string): void {
    const nowMs = performance.now();
    const isEdge = phase !== this.#phase || loaded === total;
    if (!isEdge && nowMs - this.#toldMs < pauseMs) return;
    [this.#toldMs, this.#phase, this.#total] = [nowMs, phase, total];
    this.#listener?.({ phase, loaded, total, file });
  }

  end(file: string): void {
    this.tell('ready', this.#total, this.#total, file);
  }
}
