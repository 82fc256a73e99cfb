import { sum, type Tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`sum of all ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      return () => void sum(x);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'x.sum()' },
    bytes: count * sizeOf[dtype],
    goal: 1.0,
  }),
  pair(`sum over the last axis, ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      return () => void sum(x, [1]);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'x.sum(1)' },
    bytes: count * sizeOf[dtype],
    goal: 1.0,
  }),
  pair(`sum over the first axis, ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      return () => void sum(x, [0]);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'x.sum(0)' },
    bytes: count * sizeOf[dtype],
    goal: 1.0,
  }),
  withGradient({
    name: `sum over the first axis, [${shape}]`,
    dtype,
    inputs: { x: shape },
    output: [4096],
    ours: () => (of) => sum(of.x as Tensor, [0]),
    torch: 'x.sum(0)',
    bytes: 2 * count * sizeOf[dtype],
  }),
]);
