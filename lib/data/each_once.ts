/** Every sample of some data sets once, in an order that follows from a seed: what an evaluation looks at. */
import { ArgumentError } from '../errors';
import type { Draw, Draws } from './mixture';
import type { Dataset } from './sample';
import { hashOf, shuffled } from './shuffle';

const most = 2 ** 32 - 1;

/** Nothing stands behind the last sample, and nothing in for a bad one: a batch is the smaller for it. */
export class EachOnce implements Draws {
  readonly parts: readonly Dataset[];
  readonly length: number;
  readonly #key: number;

  /** @throws ArgumentError when there are no samples, or more than 2^32. */
  constructor(parts: readonly Dataset[], seed = 0) {
    this.parts = parts;
    this.length = parts.reduce((sum, { length }) => sum + length, 0);
    if (!(this.length >= 1 && this.length <= most))
      throw new ArgumentError(`each once: ${parts.map(({ name }) => name).join(', ')} have ${this.length} samples, expected 1 to ${most}`);
    this.#key = hashOf(seed);
  }

  draw(position: number): Draw | undefined {
    if (position >= this.length) return undefined;
    let index = shuffled(position, this.length, this.#key);
    const part = this.parts.findIndex(({ length }) => {
      if (index < length) return true;
      index -= length;
      return false;
    });
    return { part, index };
  }

  replacement(): undefined {
    return undefined;
  }
}
