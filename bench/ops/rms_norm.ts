import { addRmsNorm, type Tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { sides, withGradient } from '../sides';

// Hidden states of LLaMA 7B over a prompt of 700 tokens, and of one token.
const shapes = [
  [700, 4096],
  [1, 4096],
];
const dtypes = ['f32', 'bf16'] as const;

export default [
  ...shapes.flatMap((shape) =>
    sides({ op: 'rmsNorm', shape, others: { weight: [4096] }, torch: 'F.rms_norm(x, (4096,), weight, 1e-5)', saved: ['rstd'] }),
  ),
  ...shapes.flatMap((shape) =>
    dtypes.flatMap((dtype) => [
      pair(`addRmsNorm ${dtype} [${shape}]`, {
        ours: async () => {
          const [x, residual, weight] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2), await normal([4096], dtype, 3)];
          return () => void addRmsNorm(x, residual, weight);
        },
        torch: {
          setup: `x, residual, weight = ${[shape, shape, [4096]].map((one) => torchNormal(one, dtype)).join(', ')}`,
          run: `
            total = x + residual
            F.rms_norm(total, (4096,), weight, 1e-5)
          `,
        },
        bytes: 4 * (shape[0] as number) * 4096 * sizeOf[dtype],
        goal: 1.0,
      }),
      withGradient({
        name: `addRmsNorm [${shape}]`,
        dtype,
        inputs: { x: shape, residual: shape, weight: [4096] },
        output: shape,
        ours: () => (of) => addRmsNorm(of.x as Tensor, of.residual as Tensor, of.weight as Tensor).y,
        torch: 'F.rms_norm(x + residual, (4096,), weight, 1e-5)',
        bytes: 8 * (shape[0] as number) * 4096 * sizeOf[dtype],
      }),
    ]),
  ),
];
