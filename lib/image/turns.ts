/** Long work in pieces, so that other JavaScript runs in between. */
export class Turns {
  readonly #steps: number;
  #done = 0;

  /** @param steps - that take about a millisecond. */
  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Counts `steps`; true when it is another's turn: `if (turns.due(1)) await turns.next()`. */
  due(steps: number): boolean {
    this.#done += steps;
    return this.#done >= this.#steps;
  }

  next(): Promise<void> {
    this.#done = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }
}
