import { type PreprocessImageOptions, preprocessImage, upload } from '../../lib';
import { pair } from '../harness';

const pixels = (count: number) => Uint8Array.from({ length: count }, (_, i) => i * 37);

const sam: PreprocessImageOptions = {
  ...{ resized: [768, 1024], filter: 'bilinear', height: 1024, width: 1024 },
  ...{ mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
};
const clip: PreprocessImageOptions = {
  ...{ resized: [336, 448], filter: 'bicubic', left: 56, height: 336, width: 336, rescale: 1 / 255 },
  ...{ mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
};

// A photograph of 12 megapixels. Pillow has one thread.
export default Object.entries({ SAM: sam, CLIP: clip }).map(([network, options]) => {
  const { resized, filter = 'bilinear', left = 0, height, width, rescale = 1, mean, std } = options;
  const [right, bottom] = [Math.min(left + width, resized[1]), Math.min(height, resized[0])];
  return pair(`preprocessImage 3000 x 4000 for ${network}, f32`, {
    ours: async () => {
      const image = await upload(pixels(3000 * 4000 * 3), [3000, 4000, 3]);
      return () => void preprocessImage(image, options);
    },
    torch: {
      setup: `
        import numpy
        from PIL import Image
        image = Image.fromarray((numpy.arange(3000 * 4000 * 3) * 37).astype(numpy.uint8).reshape(3000, 4000, 3))
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([${mean}], [${std}]))
        def preprocess():
          resized = image.resize((${resized[1]}, ${resized[0]}), Image.${filter.toUpperCase()}).crop((${left}, 0, ${right}, ${bottom}))
          pixels = torch.from_numpy(numpy.array(resized)).to(device).permute(2, 0, 1)
          return F.pad((pixels * ${rescale} - mean) / std, (0, ${width - (right - left)}, 0, ${height - bottom}))
      `,
      run: 'preprocess()',
    },
    bytes: 3000 * 4000 * 3 + 3 * 4 * height * width,
  });
});
