import { mul } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

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
]);
