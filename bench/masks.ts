/** Masks of things for benchmarks: one wavy disc each, of 60 to 300 pixels radius, the same on both sides. */
import { type Tensor, upload } from '../lib';

export const size = { masks: 100, height: 1500, width: 2250 };

export async function discs(): Promise<Tensor> {
  const { masks, height, width } = size;
  const pixels = new Uint8Array(masks * height * width);
  for (let i = 0; i < masks; i++) {
    const [x, y, radius] = [300 + ((i * 7919) % 1650), 300 + ((i * 104729) % 900), 60 + ((i * 31) % 240)];
    for (let dy = -radius; dy < radius; dy++) {
      const half = Math.floor(Math.sqrt(radius ** 2 - dy ** 2) * (0.9 + 0.1 * Math.sin(dy * 0.3)));
      const row = (i * height + y + dy) * width;
      pixels.fill(1, row + x - half, row + x + half);
    }
  }
  return upload(pixels, [masks, height, width]);
}

/** Makes `masks`, [height, width, masks] in Fortran order as pycocotools wants them. */
export const discsInPython = `
  import numpy
  from pycocotools import mask as coco
  masks = numpy.zeros((${size.masks}, ${size.width}, ${size.height}), numpy.uint8).T
  for i in range(${size.masks}):
      x, y, radius = 300 + i * 7919 % 1650, 300 + i * 104729 % 900, 60 + i * 31 % 240
      for dy in range(-radius, radius):
          half = int((radius ** 2 - dy ** 2) ** 0.5 * (0.9 + 0.1 * numpy.sin(dy * 0.3)))
          masks[y + dy, x - half:x + half, i] = 1
`;
