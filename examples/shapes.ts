/** Pictures of coloured circles, squares and triangles on noise, a word that names one kind, and the mask of that kind. */
export const kinds = ['circle', 'square', 'triangle'] as const;
export const side = 48; // pixels

export interface ShapeBatch {
  /** `[batch, 3, side, side]`, 0 to 1. */
  images: Float32Array;
  /** `[batch]`, the kind that is asked for. */
  words: Int32Array;
  /** `[batch, side, side]`, 1 where a shape of that kind is seen. */
  masks: Uint8Array;
}

/** Uniform numbers in [0, 1) that depend on the seed alone: xorshift32 (Marsaglia 2003). */
export function randomFrom(seed: number): () => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) | 1) >>> 0;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  return next;
}

/** Whether (x, y), relative to the centre of a shape of radius 1 that is not turned, is inside. */
const inside = [
  (x: number, y: number) => x * x + y * y < 1,
  (x: number, y: number) => Math.max(Math.abs(x), Math.abs(y)) < 0.86,
  (x: number, y: number) => y < 0.6 && Math.abs(x) < 0.577 * (y + 1.15),
] as const;

export function drawShapes(batch: number, random: () => number): ShapeBatch {
  const area = side * side;
  const result = { images: new Float32Array(batch * 3 * area), words: new Int32Array(batch), masks: new Uint8Array(batch * area) };
  for (let item = 0; item < batch; item++) {
    const image = result.images.subarray(item * 3 * area, (item + 1) * 3 * area);
    const mask = result.masks.subarray(item * area, (item + 1) * area);
    const word = Math.floor(random() * kinds.length);
    result.words[item] = word;
    const ground = [random(), random(), random()].map((value) => 0.15 + 0.35 * value);
    for (let i = 0; i < image.length; i++) image[i] = (ground[Math.floor(i / area)] as number) + 0.16 * (random() - 0.5);
    const shapes = 2 + Math.floor(random() * 3);
    const centres: (readonly [number, number])[] = [];
    for (let shape = 0; shape < shapes; shape++) {
      const kind = shape === 0 ? word : Math.floor(random() * kinds.length); // what is asked for is there
      const radius = 7 + 3 * random();
      let centre: readonly [number, number] = [0, 0];
      let tries = 0;
      do centre = [9 + (side - 18) * random(), 9 + (side - 18) * random()];
      while (tries++ < 30 && centres.some(([x, y]) => Math.hypot(x - centre[0], y - centre[1]) < 17));
      centres.push(centre);
      const angle = 0.8 * (random() - 0.5); // radians
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      const colour = [random(), random(), random()].map((value) => 0.45 + 0.55 * value);
      for (let i = 0; i < area; i++) {
        const [x, y] = [((i % side) - centre[0]) / radius, (Math.floor(i / side) - centre[1]) / radius];
        if (!inside[kind]?.(x * cosine + y * sine, y * cosine - x * sine)) continue;
        for (let channel = 0; channel < 3; channel++) image[channel * area + i] = (colour[channel] as number) + 0.1 * (random() - 0.5);
        mask[i] = Number(kind === word);
      }
    }
  }
  return result;
}
