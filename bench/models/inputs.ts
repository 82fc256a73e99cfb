import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { decodeImage } from '../../lib';
import { clipPresets } from '../../lib/models/clip/config';
import { clipInput } from '../../lib/models/clip/input';
import { imageTensor } from '../../lib/models/image_tensor';
import { samPresets } from '../../lib/models/sam/config';
import { samInput } from '../../lib/models/sam/input';
import { pair } from '../harness';

const path = join(tmpdir(), `mglmm-bench-${process.pid}.jpg`);

/** A JPEG of 12 megapixels with edges, texture and a little noise, about 3 MB. */
async function photograph(): Promise<Buffer> {
  const [width, height] = [4000, 3000];
  const pixels = Buffer.alloc(width * height * 3);
  let state = 1;
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const noise = (state >>> 28) - 8;
      const texture = 12 * Math.sin(x / 7) * Math.cos(y / 11) + (((x >> 8) + (y >> 8)) % 2) * 40;
      pixels[i++] = 60 + x / 40 + texture + noise;
      pixels[i++] = 90 + y / 40 + texture + noise;
      pixels[i++] = 120 + (x + y) / 100 - texture + noise;
    }
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toFile(path);
  return readFileSync(path);
}

const clip = clipPresets['vit-large-patch14-336'];
const sam = samPresets.vit_b;

const setup = `
  import io, numpy
  from PIL import Image
  file = open('${path}', 'rb').read()
  image = Image.open(io.BytesIO(file)).convert('RGB')
  clip_mean, clip_std = (torch.tensor(v).view(3, 1, 1) for v in (${JSON.stringify(clip.pixelMean)}, ${JSON.stringify(clip.pixelStd)}))
  sam_mean, sam_std = (torch.tensor(v).view(3, 1, 1) for v in (${JSON.stringify(sam.pixelMean)}, ${JSON.stringify(sam.pixelStd)}))
  def tensor(image):
      return torch.from_numpy(numpy.array(image)).to(device).permute(2, 0, 1)
  def inputs(image):
      short = image.resize((448, 336), Image.BICUBIC).crop((56, 0, 392, 336))
      clip = (tensor(short).float() / 255 - clip_mean) / clip_std
      long = image.resize((1024, 768), Image.BILINEAR)
      sam = F.pad((tensor(long).float() - sam_mean) / sam_std, (0, 0, 0, 256))
      return clip, sam
`;

/** Pillow has one thread. */
export default [
  pair('JPEG 3000 x 4000 to CLIP and SAM inputs', {
    ours: async () => {
      const file = await photograph();
      return async () => {
        const image = imageTensor(await decodeImage(file));
        clipInput(image, clip);
        samInput(image, sam);
      };
    },
    torch: { setup, run: "inputs(Image.open(io.BytesIO(file)).convert('RGB'))" },
    goal: 1 / 0.6,
  }),
  pair('JPEG 3000 x 4000 to pixels', {
    ours: async () => {
      const file = await photograph();
      return async () => void (await decodeImage(file));
    },
    torch: { setup, run: "Image.open(io.BytesIO(file)).convert('RGB')" },
  }),
  pair('pixels 3000 x 4000 to CLIP and SAM inputs', {
    ours: async () => {
      const pixels = await decodeImage(await photograph());
      return () => {
        const image = imageTensor(pixels);
        clipInput(image, clip);
        samInput(image, sam);
      };
    },
    torch: { setup, run: 'inputs(image)' },
  }),
];
