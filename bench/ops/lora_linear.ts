import { addLoraByRow, linear, loraLinear, pack, type Tensor, zeros } from '../../lib';
import { normal, sizeOf, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// q_proj of LLaMA 7B with an adapter of rank 8, a prompt of 700 tokens; the frozen weight packed once.
const [rows, size, rank] = [700, 4096, 8];

const prompts = (['f32', 'bf16'] as const).map((dtype) =>
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

// The same layer in a step of generation: 8 rows, two for each of 4 adapters.
const [batch, adapters] = [8, [0, 0, 1, 1, 2, 2, 3, 3]];

const steps = (['f32', 'bf16'] as const).map((dtype) =>
  pair(`linear and addLoraByRow ${dtype} [${batch},${size}] x [${size},${size}], 4 adapters of rank ${rank}`, {
    ours: async () => {
      const x = await normal([batch, size], dtype, 1);
      using plain = await normal([size, size], dtype, 2);
      const weight = pack(plain);
      const loraA = await Promise.all([3, 5, 7, 9].map((seed) => normal([rank, size], dtype, seed)));
      const loraB = await Promise.all([4, 6, 8, 10].map((seed) => normal([size, rank], dtype, seed)));
      const loras = { loraA, loraB, scalings: [2, 2, 2, 2], adapters };
      return () => {
        using layer = linear(x, weight);
        addLoraByRow(layer, x, loras).dispose();
      };
    },
    torch: {
      setup: `
        x, weight = ${torchNormal([batch, size], dtype)}, ${torchNormal([size, size], dtype)}
        lora_a, lora_b = ${torchNormal([4, rank, size], dtype)}, ${torchNormal([4, size, rank], dtype)}
        adapters = torch.tensor([${adapters}])
      `,
      run: 'F.linear(x, weight) + 2 * torch.bmm(lora_b[adapters], torch.bmm(lora_a[adapters], x.unsqueeze(2))).squeeze(2)',
    },
    bytes: (size * size + 2 * 4 * rank * size + 2 * batch * size) * sizeOf[dtype],
  }),
);

// The adapter and what came before it are trained, the weight is not; PyTorch's is a leaf that asks for no gradient.
const trained = (['f32', 'bf16'] as const).map((dtype) =>
  withGradient({
    name: `loraLinear [${rows},${size}] x [${size},${size}], rank ${rank}`,
    dtype,
    inputs: { x: [rows, size], loraA: [rank, size], loraB: [size, rank] },
    output: [rows, size],
    ours: () => {
      const weight = zeros([size, size], dtype);
      return (of) => loraLinear(of.x as Tensor, weight, of.loraA as Tensor, of.loraB as Tensor, { scaling: 2 });
    },
    torch: 'F.linear(x, weight) + 2 * F.linear(F.linear(x, loraA), loraB)',
    setup: `weight = ${torchNormal([size, size], dtype)}`,
    flops: 2 * rows * size * (2 * size + 6 * rank),
    bytes: (2 * size * size + 5 * rows * size) * sizeOf[dtype],
  }),
);

export default [...prompts, ...steps, ...trained];
