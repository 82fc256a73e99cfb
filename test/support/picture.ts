import type { RgbImage } from '../../lib';
import { uniform } from './data';

/** Pixels of soft colours with noise on them, the same for the same seed. */
export function picture(width: number, height: number, seed = 1): RgbImage {
  const next = uniform(seed);
  const waves = Array.from({ length: 6 }, () => next() / 9 + 0.02);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [channel, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const wave = Math.sin(x * (waves[channel] as number)) * Math.cos(y * (waves[channel + 3] as number));
    data[i] = Math.round(127 + 100 * wave + 28 * (next() - 0.5));
  }
  return { data, width, height };
}
