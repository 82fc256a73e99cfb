import { convTranspose2d, type Tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// The first upscaling of SAM's mask decoder, for 8 prompts.
export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`convTranspose2d [8, 256, 64, 64] to 64 ${dtype}`, {
    ours: async () => {
      const [x, weight, bias] = [
        await normal([8, 256, 64, 64], dtype, 1),
        await normal([256, 64, 2, 2], dtype, 2),
        await normal([64], dtype, 3),
      ];
      return () => void convTranspose2d(x, weight, bias);
    },
    torch: {
      setup: `
        x, weight, bias = (torch.randn(s).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}) for s in ([8, 256, 64, 64], [256, 64, 2, 2], [64]))
      `,
      run: 'F.conv_transpose2d(x, weight, bias, stride=2)',
    },
    flops: 2 * 8 * 256 * 64 * 4 * 64 * 64,
    goal: 1.0,
  }),
  withGradient({
    name: 'convTranspose2d [8, 256, 64, 64] to 64',
    dtype,
    inputs: { x: [8, 256, 64, 64], weight: [256, 64, 2, 2], bias: [64] },
    output: [8, 64, 128, 128],
    ours: () => (of) => convTranspose2d(of.x as Tensor, of.weight as Tensor, of.bias),
    torch: 'F.conv_transpose2d(x, weight, bias, stride=2)',
    flops: 6 * 8 * 256 * 64 * 4 * 64 * 64,
  }),
]);
