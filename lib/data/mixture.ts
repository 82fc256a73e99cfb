/**
 * Data sets mixed by weight. Which sample stands at a position follows from the seed and the position alone: no process has to
 * remember what was drawn, and processes that take different positions never share a draw.
 */
import { ArgumentError } from '../errors';
import type { Dataset } from './sample';
import { hashOf, shuffled } from './shuffle';

export interface MixturePart {
  readonly dataset: Dataset;
  /** How often it is drawn from, beside the others; default 1, 0 leaves it out. At most six decimals count. */
  readonly weight?: number;
}

/** Sample `index` of part `part`. */
export interface Draw {
  readonly part: number;
  readonly index: number;
}

/** Which sample stands at a position: it follows from the position alone. */
export interface Draws {
  readonly parts: readonly Dataset[];
  /** Samples of all parts that are drawn from. */
  readonly length: number;
  /** Undefined: none. */
  draw(position: number): Draw | undefined;
  /** What stands in for a bad sample there, and for bad stand-ins: `attempt` counts from 1. Undefined: none. */
  replacement(position: number, attempt: number): Draw | undefined;
}

/** What a hash is for, so that no two uses share their words. */
const [forOrder, forSlots, forReplacement] = [1, 2, 3];
const most = 2 ** 32 - 1;
const decimals = 1e6;

/**
 * Positions come in blocks as long as the sum of the weights, reduced to whole numbers, and a block holds each data set just as often as
 * its weight says. A data set gives all its samples, in an order of its own, before it gives any a second time.
 */
export class Mixture implements Draws {
  readonly parts: readonly Dataset[];
  readonly length: number;
  readonly seed: number;
  /** Draws of each part in a block. */
  readonly shares: readonly number[];
  readonly #block: number;

  /** @throws ArgumentError for weights that are none, and data sets that are empty. */
  constructor(parts: readonly MixturePart[], seed = 0) {
    if (!(Number.isSafeInteger(seed) && seed >= 0))
      throw new ArgumentError(`mixture: seed is ${String(seed)}, expected a whole number, 0 or more`);
    if (!Array.isArray(parts) || parts.length === 0) throw new ArgumentError('mixture: parts is empty, expected at least one data set');
    this.seed = seed;
    this.parts = parts.map(({ dataset }) => dataset);
    this.shares = sharesOf(parts);
    this.#block = this.shares.reduce((sum, share) => sum + share, 0);
    this.length = this.parts.reduce((sum, { length }, i) => sum + (this.shares[i] ? length : 0), 0);
  }

  /** @param position - a whole number from 0, below 2^53. */
  draw(position: number): Draw {
    expectPosition(position);
    const block = Math.floor(position / this.#block);
    let slot = shuffled(position % this.#block, this.#block, hashOf(this.seed, forSlots, block));
    const part = this.shares.findIndex((share) => {
      if (slot < share) return true;
      slot -= share;
      return false;
    });
    // How many of this data set were drawn before.
    const before = block * (this.shares[part] as number) + slot;
    const { length } = this.parts[part] as Dataset;
    const pass = Math.floor(before / length);
    return { part, index: shuffled(before % length, length, hashOf(this.seed, forOrder, part, pass)) };
  }

  /** Another sample of the same data set. */
  replacement(position: number, attempt: number): Draw {
    const { part } = this.draw(position);
    const index = hashOf(this.seed, forReplacement, position, attempt) % (this.parts[part] as Dataset).length;
    return { part, index };
  }
}

function expectPosition(position: number): void {
  if (!(Number.isSafeInteger(position) && position >= 0))
    throw new ArgumentError(`mixture: position is ${String(position)}, expected a whole number, 0 or more`);
}

/** Weights as the smallest whole numbers of the same proportions. */
function sharesOf(parts: readonly MixturePart[]): number[] {
  const whole = parts.map(({ dataset, weight = 1 }, i) => {
    if (!(Number.isFinite(weight) && weight >= 0))
      throw new ArgumentError(`mixture: the weight of ${dataset.name} is ${String(weight)}, expected a number, 0 or more`);
    const share = Math.round(weight * decimals);
    if (weight > 0 && share === 0)
      throw new ArgumentError(`mixture: the weight of ${dataset.name} is ${weight}, expected 0 or at least ${1 / decimals}`);
    if (weight > 0 && !(dataset.length > 0 && dataset.length <= most))
      throw new ArgumentError(`mixture: parts[${i}], ${dataset.name}, has ${dataset.length} samples, expected 1 to ${most}`);
    return share;
  });
  const divisor = whole.reduce(greatestCommonDivisor, 0);
  if (divisor === 0) throw new ArgumentError('mixture: all weights are 0, expected one above');
  const shares = whole.map((share) => share / divisor);
  const sum = shares.reduce((total, share) => total + share, 0);
  if (sum > most) throw new ArgumentError(`mixture: the weights are as ${shares.join(' : ')}, expected a sum of at most ${most}`);
  return shares;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
