/** Philox4x32-10 in whole numbers, the oracle of what draws random numbers. Salmon et al. 2011, SC11. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [a, b, c, d] = counter.map((word) => BigInt(word >>> 0)) as [bigint, bigint, bigint, bigint];
  let [low, high] = key.map((word) => BigInt(word >>> 0)) as [bigint, bigint];
  const word = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [first, second] = [0xd2511f53n * a, 0xcd9e8d57n * c];
    [a, b, c, d] = [(second >> 32n) ^ b ^ low, second & word, (first >> 32n) ^ d ^ high, first & word];
    low = (low + 0x9e3779b9n) & word;
    high = (high + 0xbb67ae85n) & word;
  }
  return [Number(a), Number(b), Number(c), Number(d)];
}
