import { scale } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`scale ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      return () => void scale(x, 0.125, 1);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'x * 0.125 + 1' },
    bytes: 2 * count * sizeOf[dtype],
    goal: 1.0,
  }),
]);
