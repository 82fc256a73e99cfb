import { gatherRows, type Tensor, tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const table = [32_007, 4096]; // as many rows as there are words
const ids = Int32Array.from({ length: 700 }, (_, i) => (i * 7919) % 32_007);

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`gatherRows ${dtype} 700 rows of [${table}]`, {
    ours: async () => {
      const [rows, index] = [await normal(table, dtype, 1), tensor(ids)];
      return () => void gatherRows(rows, index);
    },
    torch: { setup: `rows = ${torchNormal(table, dtype)}\nindex = torch.arange(700) * 7919 % 32007`, run: 'rows[index]' },
    bytes: 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
  // The gradient of all rows is written, of which 700 are not 0.
  withGradient({
    name: `gatherRows 700 rows of [${table}]`,
    dtype,
    inputs: { rows: table },
    output: [700, 4096],
    ours: () => {
      const index = tensor(ids);
      return (of) => gatherRows(of.rows as Tensor, index);
    },
    torch: 'rows[index]',
    setup: 'index = torch.arange(700) * 7919 % 32007',
    bytes: (4 * 700 + 32_007) * 4096 * sizeOf[dtype],
  }),
]);
