import { rope, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

/** The queries of one layer of LLaMA 7B over a prompt; the peer is Hugging Face's code, its cosines made once a model run. */
export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`rope ${dtype} 32 heads, 700 tokens of 128`, {
    ours: async () => {
      const x = await normal([1, 32, 700, 128], dtype, 1);
      const positions = tensor(
        Int32Array.from({ length: 700 }, (_, i) => i),
        [1, 700],
      );
      return () => void rope(x, positions);
    },
    torch: {
      setup: `
        x = torch.randn(1, 32, 700, 128).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'})
        angles = torch.outer(torch.arange(700).float(), 1.0 / (10000 ** (torch.arange(0, 128, 2).float() / 128)))
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
      `,
      run: 'x * cos + torch.cat((-x[..., 64:], x[..., :64]), dim=-1) * sin',
    },
    bytes: 2 * 32 * 700 * 128 * (dtype === 'f32' ? 4 : 2),
    goal: 1,
  }),
);
