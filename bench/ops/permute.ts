import { permute } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

const heads = [1, 700, 32, 128]; // LLaMA 7B: positions to heads
const image = [1, 64, 64, 1280]; // SAM ViT-H: channels to the front

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`permute [0,2,1,3] ${dtype} [${heads}]`, {
    ours: async () => {
      const x = await normal(heads, dtype, 1);
      return () => void permute(x, [0, 2, 1, 3]);
    },
    torch: { setup: `x = ${torchNormal(heads, dtype)}`, run: 'x.permute(0, 2, 1, 3).contiguous()' },
    bytes: 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
  pair(`permute [0,3,1,2] ${dtype} [${image}]`, {
    ours: async () => {
      const x = await normal(image, dtype, 1);
      return () => void permute(x, [0, 3, 1, 2]);
    },
    torch: { setup: `x = ${torchNormal(image, dtype)}`, run: 'x.permute(0, 3, 1, 2).contiguous()' },
    bytes: 2 * 4096 * 1280 * sizeOf[dtype],
    goal: 1.0,
  }),
]);
