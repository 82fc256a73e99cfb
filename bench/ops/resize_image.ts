import { resizeImage, upload } from '../../lib';
import { pair } from '../harness';

const pixels = (count: number) => Uint8Array.from({ length: count }, (_, i) => i * 37);

// A photograph of 12 megapixels for SAM and for CLIP. Pillow has one thread.
export default (
  [
    ['bilinear', 768, 1024],
    ['bicubic', 336, 448],
  ] as const
).map(([filter, height, width]) =>
  pair(`resizeImage ${filter} 3000 x 4000 to ${height} x ${width}`, {
    ours: async () => {
      const image = await upload(pixels(3000 * 4000 * 3), [3000, 4000, 3]);
      return () => void resizeImage(image, height, width, filter);
    },
    torch: {
      setup: `
        import numpy
        from PIL import Image
        image = Image.fromarray((numpy.arange(3000 * 4000 * 3) * 37).astype(numpy.uint8).reshape(3000, 4000, 3))
      `,
      run: `image.resize((${width}, ${height}), Image.${filter.toUpperCase()})`,
    },
  }),
);
