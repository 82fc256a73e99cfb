import { spliceRows, tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

// 576 image features in the place of one token of 125: 700 in all.
const [text, image, joined] = [
  [2, 125, 4096],
  [2, 576, 4096],
  [2, 700, 4096],
];

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`spliceRows ${dtype} [${joined}]`, {
    ours: async () => {
      const [x, rows, positions] = [await normal(text, dtype, 1), await normal(image, dtype, 2), tensor(Int32Array.of(35, 40))];
      return () => void spliceRows(x, rows, positions);
    },
    torch: {
      setup: `x, rows = ${torchNormal(text, dtype)}, ${torchNormal(image, dtype)}`,
      run: 'torch.stack([torch.cat([a[:at], b, a[at + 1:]]) for a, b, at in zip(x, rows, (35, 40))])',
    },
    bytes: 2 * 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
);
