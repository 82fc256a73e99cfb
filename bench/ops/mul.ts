import { mul, type Tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`mul ${dtype} [${shape}]`, {
    ours: async () => {
      const [a, b] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2)];
      return () => void mul(a, b);
    },
    torch: { setup: `a, b = ${torchNormal(shape, dtype)}, ${torchNormal(shape, dtype)}`, run: 'a * b' },
    bytes: 3 * count * sizeOf[dtype],
    goal: 1.0,
  }),
  withGradient({
    name: `mul [${shape}]`,
    dtype,
    inputs: { a: shape, b: shape },
    output: shape,
    ours: () => (of) => mul(of.a as Tensor, of.b as Tensor),
    torch: 'a * b',
  }),
]);
