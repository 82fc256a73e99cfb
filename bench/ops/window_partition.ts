import { windowPartition } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

/** Queries, keys and values of SAM ViT-H's map cut into its windows, by segment-anything's code on the other side. */
export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`windowPartition ${dtype} 64 x 64 tokens of 3840, window 14`, {
    ours: async () => {
      const x = await normal([1, 64, 64, 3840], dtype, 1);
      return () => void windowPartition(x, 14);
    },
    torch: {
      setup: `x = torch.randn(1, 64, 64, 3840).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'})`,
      run: 'F.pad(x, (0, 0, 0, 6, 0, 6)).view(1, 5, 14, 5, 14, 3840).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 14, 14, 3840)',
    },
    bytes: (64 * 64 + 70 * 70) * 3840 * (dtype === 'f32' ? 4 : 2),
    goal: 1,
  }),
);
