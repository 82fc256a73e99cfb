/**
 * Chance without state: numbers and orders that follow from a key and a counter alone, so that any of them can be had without those
 * before it. The order is the swap-or-not shuffle: Hoang, Morris, Rogaway 2012, https://arxiv.org/abs/1208.1176.
 */

/** 2^32 divided by the golden ratio, made odd: counters that lie close become words that do not. */
const golden = 0x9e3779b9;

/** Each bit of the result hangs on each bit of `word`: the finalizer of MurmurHash3. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** One word more, of which the low 32 bits count. */
const absorb = (hash: number, word: number) => mix((hash + golden) ^ word);

/** 32 bits that follow from `words`, whole numbers from 0 to 2^53. */
export function hashOf(...words: readonly number[]): number {
  let hash = 0;
  for (const word of words) hash = absorb(absorb(hash, word), Math.floor(word / 2 ** 32));
  return hash >>> 0;
}

/**
 * Where `index` comes in an order of 0 to `length` - 1 that follows from `key`: each place is taken once.
 * @param length - below 2^32.
 */
export function shuffled(index: number, length: number, key: number): number {
  const rounds = 16 + 4 * Math.ceil(Math.log2(length + 1)); // the paper's bound wants a few for each bit of the length
  let place = index;
  for (let round = 0; round < rounds; round++) {
    // Places are paired by their sum; the pair swaps, or not, by a coin that both sides see.
    const hash = absorb(key, round);
    const sum = (hash >>> 0) % length;
    const partner = sum >= place ? sum - place : sum - place + length;
    if (absorb(hash, Math.max(place, partner)) & 1) place = partner;
  }
  return place;
}
