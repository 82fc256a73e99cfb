import { concat } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`concat along the last axis, ${dtype} 2 x [${shape}]`, {
    ours: async () => {
      const [a, b] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2)];
      return () => void concat([a, b], 1);
    },
    torch: { setup: `a, b = ${torchNormal(shape, dtype)}, ${torchNormal(shape, dtype)}`, run: 'torch.cat([a, b], 1)' },
    bytes: 4 * count * sizeOf[dtype],
    goal: 1.0,
  }),
]);
