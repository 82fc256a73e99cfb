import { spliceRows, type Tensor, tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// 576 image features in the place of one token of 125: 700 in all.
const [text, image, joined] = [
  [2, 125, 4096],
  [2, 576, 4096],
  [2, 700, 4096],
];

const places = () => tensor(Int32Array.of(35, 40));
const splice = 'torch.stack([torch.cat([a[:at], b, a[at + 1:]]) for a, b, at in zip(x, rows, (35, 40))])';

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`spliceRows ${dtype} [${joined}]`, {
    ours: async () => {
      const [x, rows, positions] = [await normal(text, dtype, 1), await normal(image, dtype, 2), places()];
      return () => void spliceRows(x, rows, positions);
    },
    torch: {
      setup: `x, rows = ${torchNormal(text, dtype)}, ${torchNormal(image, dtype)}`,
      run: splice,
    },
    bytes: 2 * 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
  withGradient({
    name: `spliceRows [${joined}]`,
    dtype,
    inputs: { x: text, rows: image },
    output: joined,
    ours: () => {
      const positions = places();
      return (of) => spliceRows(of.x as Tensor, of.rows as Tensor, positions);
    },
    torch: splice,
    bytes: 4 * 2 * 700 * 4096 * sizeOf[dtype],
  }),
]);
