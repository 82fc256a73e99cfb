import { matmul, type Tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// Scores and values of CLIP's attention, 16 heads of 64 over 577 tokens.
const dtypes = { f32: 'float32', bf16: 'bfloat16' } as const;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`matmul ${dtype} [16,577,64] x [16,577,64]^T`, {
    ours: async () => {
      const [a, b] = [await normal([16, 577, 64], dtype, 1), await normal([16, 577, 64], dtype, 2)];
      return () => void matmul(a, b, { transposeB: true });
    },
    torch: {
      setup: `a, b = (torch.randn(16, 577, 64).to(torch.${dtypes[dtype]}) for _ in range(2))`,
      run: 'a @ b.transpose(1, 2)',
    },
    flops: 2 * 16 * 577 * 577 * 64,
    goal: 1,
  }),
  pair(`matmul ${dtype} [16,577,577] x [16,577,64]`, {
    ours: async () => {
      const [a, b] = [await normal([16, 577, 577], dtype, 1), await normal([16, 577, 64], dtype, 2)];
      return () => void matmul(a, b);
    },
    torch: {
      setup: `a, b = (torch.randn(16, 577, s).to(torch.${dtypes[dtype]}) for s in (577, 64))`,
      run: 'a @ b',
    },
    flops: 2 * 16 * 577 * 577 * 64,
    goal: 1,
  }),
  withGradient({
    name: 'matmul [16,577,577] x [16,577,64]',
    dtype,
    inputs: { a: [16, 577, 577], b: [16, 577, 64] },
    output: [16, 577, 64],
    ours: () => (of) => matmul(of.a as Tensor, of.b as Tensor),
    torch: 'a @ b',
    flops: 6 * 16 * 577 * 577 * 64,
  }),
]);
