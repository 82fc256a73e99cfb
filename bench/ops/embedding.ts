import { embedding, type Tensor, tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const table = [32_007, 4096]; // the words of LLaMA 7B with four more
const ids = Int32Array.from({ length: 700 }, (_, i) => (i * 7919) % 32_007);

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`embedding ${dtype} 700 rows of [${table}]`, {
    ours: async () => {
      const [rows, index] = [await normal(table, dtype, 1), tensor(ids)];
      return () => void embedding(rows, index);
    },
    torch: { setup: `rows = ${torchNormal(table, dtype)}\nindex = torch.arange(700) * 7919 % 32007`, run: 'F.embedding(index, rows)' },
    bytes: 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
  // The gradient of all rows is written, of which 700 are not 0.
  withGradient({
    name: `embedding 700 rows of [${table}]`,
    dtype,
    inputs: { rows: table },
    output: [700, 4096],
    ours: () => {
      const index = tensor(ids);
      return (of) => embedding(of.rows as Tensor, index);
    },
    torch: 'F.embedding(index, rows)',
    setup: 'index = torch.arange(700) * 7919 % 32007',
    bytes: (4 * 700 + 32_007) * 4096 * sizeOf[dtype],
  }),
]);
