import { embedding, tensor } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

const table = [32_007, 4096]; // the words of LLaMA 7B with four more
const ids = Int32Array.from({ length: 700 }, (_, i) => (i * 7919) % 32_007);

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`embedding ${dtype} 700 rows of [${table}]`, {
    ours: async () => {
      const [rows, index] = [await normal(table, dtype, 1), tensor(ids)];
      return () => void embedding(rows, index);
    },
    torch: { setup: `rows = ${torchNormal(table, dtype)}\nindex = torch.arange(700) * 7919 % 32007`, run: 'F.embedding(index, rows)' },
    bytes: 2 * 700 * 4096 * sizeOf[dtype],
    goal: 1.0,
  }),
);
