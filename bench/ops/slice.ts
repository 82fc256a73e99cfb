import { slice, type Tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`slice the last axis, ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      return () => void slice(x, 1, 128, 2176);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'x[:, 128:2176].contiguous()' },
    bytes: count * sizeOf[dtype],
    goal: 1.0,
  }),
  withGradient({
    name: `slice the last axis, [${shape}]`,
    dtype,
    inputs: { x: shape },
    output: [700, 2048],
    ours: () => (of) => slice(of.x as Tensor, 1, 128, 2176),
    torch: 'x[:, 128:2176].contiguous()',
    bytes: 2.5 * count * sizeOf[dtype],
  }),
]);
