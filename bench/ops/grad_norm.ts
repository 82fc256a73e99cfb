import { gradNorm } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// 64 MiB of f32 gradients in 100 tensors.
const [tensors, size] = [100, 167_772];

export default [
  pair('gradient norm of 64 MiB in 100 tensors', {
    ours: async () => {
      const grads = await Promise.all(Array.from({ length: tensors }, (_, i) => normal([size], 'f32', i)));
      return () => void gradNorm(grads);
    },
    torch: {
      setup: `grads = [torch.randn(${size}) for _ in range(${tensors})]`,
      run: 'torch.nn.utils.get_total_norm(grads)',
    },
    bytes: 4 * tensors * size,
    goal: 1.0,
  }),
];
