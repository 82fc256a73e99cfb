import { adamw } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// 64 MiB of f32 parameters in 100 tensors.
const [tensors, size] = [100, 167_772];
const make = (scale: number) => Promise.all(Array.from({ length: tensors }, (_, i) => normal([size], 'f32', i + scale)));
const setup = `
  params = [torch.randn(${size}).requires_grad_() for _ in range(${tensors})]
  for param in params: param.grad = torch.randn(${size})
  optimizer = torch.optim.AdamW(params, lr=1e-5, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
`;

export default [
  pair('adamw, one step of 64 MiB in 100 tensors', {
    ours: async () => {
      const [params, grads, expAvg] = [await make(0), await make(1), await make(2)];
      const expAvgSq = await make(0);
      let step = 0;
      return () => adamw({ params, grads, expAvg, expAvgSq, lr: 1e-5, beta1: 0.9, beta2: 0.95, step: ++step });
    },
    torch: { setup, run: 'optimizer.step()' },
    bytes: 7 * 4 * tensors * size,
    goal: 1.0,
  }),
];
