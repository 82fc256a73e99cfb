import { clipGradients, gradNorm } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// 64 MiB of f32 gradients in 100 tensors, with their norm: a training step never has one without the other.
const [tensors, size] = [100, 167_772];

export default [
  pair('gradient norm and clipping of 64 MiB in 100 tensors', {
    ours: async () => {
      const grads = await Promise.all(Array.from({ length: tensors }, (_, i) => normal([size], 'f32', i)));
      return () => clipGradients(grads, gradNorm(grads), { maxNorm: 1e-3 });
    },
    torch: {
      setup: `
        params = [torch.randn(${size}).requires_grad_() for _ in range(${tensors})]
        for param in params: param.grad = torch.randn(${size})
      `,
      run: 'torch.nn.utils.clip_grad_norm_(params, 1e-3)',
    },
    bytes: 3 * 4 * tensors * size,
    goal: 1.0,
  }),
];
