import { packBits } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

export default pair('packBits [32, 1024, 1024] f32', {
  ours: async () => {
    const logits = await normal([32, 1024, 1024]);
    return () => void packBits(logits);
  },
  torch: {
    setup: `
      import numpy
      logits = torch.randn(32, 1024, 1024)
    `,
    run: 'numpy.packbits((logits > 0).cpu().numpy(), axis=-1, bitorder="little")',
  },
  bytes: (32 << 20) * 4,
});
