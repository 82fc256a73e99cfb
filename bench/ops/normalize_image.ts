import { normalizeImage, upload } from '../../lib';
import { pair } from '../harness';

// SAM's input.
export default pair('normalizeImage [768, 1024, 3] to [3, 1024, 1024] f32', {
  ours: async () => {
    const image = await upload(new Uint8Array(768 * 1024 * 3), [768, 1024, 3]);
    const options = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], height: 1024, width: 1024 };
    return () => void normalizeImage(image, options);
  },
  torch: {
    setup: `
      image = torch.zeros(768, 1024, 3, dtype=torch.uint8)
      mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    `,
    run: 'F.pad((image.permute(2, 0, 1) - mean) / std, (0, 0, 0, 256))',
  },
  bytes: 768 * 1024 * 3 + 3 * 4 * 1024 ** 2,
});
