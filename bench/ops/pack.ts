import { pack, unpack } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

// A weight of LLaMA 7B's MLP. PyTorch has no such step; a copy of the same bytes stands beside it.
const shape = [11008, 4096];
const count = 11008 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => {
  const bytes = 2 * count * sizeOf[dtype];
  const torch = { setup: `weight = ${torchNormal(shape, dtype)}`, run: 'weight.clone()' };
  return [
    pair(`pack ${dtype} [${shape}]`, {
      ours: async () => {
        const weight = await normal(shape, dtype, 1);
        return () => pack(weight).dispose();
      },
      torch,
      bytes,
    }),
    pair(`unpack ${dtype} [${shape}]`, {
      ours: async () => {
        using weight = await normal(shape, dtype, 1);
        const packed = pack(weight);
        return () => unpack(packed).dispose();
      },
      torch,
      bytes,
    }),
  ];
});
