import { loraLinear, pack } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';

// q_proj of LLaMA 7B with an adapter of rank 8, a prompt of 700 tokens; the frozen weight packed once.
const [rows, size, rank] = [700, 4096, 8];

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`loraLinear ${dtype} [${rows},${size}] x [${size},${size}], rank ${rank}`, {
    ours: async () => {
      const x = await normal([rows, size], dtype, 1);
      using plain = await normal([size, size], dtype, 2);
      const weight = pack(plain);
      const [loraA, loraB] = [await normal([rank, size], dtype, 3), await normal([size, rank], dtype, 4)];
      return () => loraLinear(x, weight, loraA, loraB, { scaling: 2 }).dispose();
    },
    torch: {
      setup: `
        x, weight = ${torchNormal([rows, size], dtype)}, ${torchNormal([size, size], dtype)}
        lora_a, lora_b = ${torchNormal([rank, size], dtype)}, ${torchNormal([size, rank], dtype)}
      `,
      run: 'F.linear(x, weight) + 2 * F.linear(F.linear(x, lora_a), lora_b)',
    },
    flops: 2 * rows * size * (size + 2 * rank),
    bytes: (size * size + 2 * rows * size) * sizeOf[dtype],
    goal: 1,
  }),
);
