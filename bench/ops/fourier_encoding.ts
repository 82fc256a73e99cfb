import { fourierEncoding } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// SAM's grid of 64 x 64, 256 channels.
export default pair('fourierEncoding [64, 64, 2], 128 features, f32', {
  ours: async () => {
    const [points, gaussian] = [await normal([64, 64, 2]), await normal([2, 128])];
    return () => void fourierEncoding(points, gaussian);
  },
  torch: {
    setup: 'points, gaussian = torch.rand(64, 64, 2), torch.randn(2, 128)',
    run: `
      v = 2 * torch.pi * ((2 * points - 1) @ gaussian)
      torch.cat([v.sin(), v.cos()], -1)
    `,
  },
  bytes: 64 * 64 * (2 + 256) * 4,
  goal: 1.0,
});
