import { dropout, type Tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const shape = [700, 4096]; // the input of LoRA in LLaMA 7B over a prompt of 700 tokens

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`dropout ${dtype} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, dtype, 1);
      let seed = 0;
      return () => void dropout(x, 0.05, seed++);
    },
    torch: { setup: `x = ${torchNormal(shape, dtype)}`, run: 'F.dropout(x, 0.05)' },
    bytes: 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
  withGradient({
    name: `dropout [${shape}]`,
    dtype,
    inputs: { x: shape },
    output: shape,
    ours: () => {
      let seed = 0;
      return (of) => dropout(of.x as Tensor, 0.05, seed++);
    },
    torch: 'F.dropout(x, 0.05)',
    bytes: 4 * 700 * 4096 * sizeOf[dtype],
  }),
]);
