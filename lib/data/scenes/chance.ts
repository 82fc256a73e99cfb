/** Chance that follows from whole numbers alone: a small generator (sfc32, Chris Doty-Humphrey, PractRand) whose state is a hash of them. */
import { hashOf } from '../shuffle';

export class Chance {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(...words: readonly number[]) {
    [this.#a, this.#b, this.#c] = [hashOf(...words, 1), hashOf(...words, 2), hashOf(...words, 3)];
  }

  /** From 0 up to, not including, 1: a whole number of 2^-32. */
  fraction(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.fraction();
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  is(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** @param list - not empty. */
  pick<Item>(list: readonly Item[]): Item {
    return list[this.below(list.length)] as Item;
  }

  /** An index, as often as its weight says. @param weights - not all 0. */
  weighted(weights: readonly number[]): number {
    let left = this.fraction() * weights.reduce((sum, weight) => sum + weight, 0);
    return weights.findIndex((weight, i) => {
      left -= weight;
      return left < 0 || weights.slice(i + 1).every((other) => other === 0);
    });
  }

  shuffled<Item>(list: readonly Item[]): Item[] {
    const items = [...list];
    for (let i = items.length - 1; i > 0; i--) {
      const other = this.below(i + 1);
      [items[i], items[other]] = [items[other] as Item, items[i] as Item];
    }
    return items;
  }
}
