/** Numbers that follow from a seed and a count, so that a run that goes on draws what it would have drawn. */

/** Another number of 32 bits for each pair. Steele et al. 2014, Fast splittable pseudorandom number generators. */
export function mixed(seed: number, number: number): number {
  let z = (Math.imul(seed, 0x9e3779b1) + Math.imul(number + 1, 0x85ebca77)) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
