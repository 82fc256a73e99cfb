import { copy, type QuantizedWeight, quantize, quantizedLinear, type Tensor, zeros } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// The MLP of LLaMA 7B: one token, and a prompt of 700. PyTorch's side is its bf16 product.
const [inner, out] = [4096, 11008];
const bytes = { int8: inner * out * (1 + 2 / 128), int4: inner * out * (0.5 + 4 / 128) } as const;

const setup = (rows: number, copies: number) => `
  import itertools
  x, weight = (torch.randn(rows, ${inner}).to(torch.bfloat16) for rows in (${rows}, ${out}))
  weights = itertools.cycle([weight] + [weight.clone() for _ in range(${copies - 1})])
`;

const once = (['int8', 'int4'] as const).flatMap((kind) =>
  [1, 700].map((rows) =>
    pair(`quantizedLinear ${kind} bf16 [${rows},${inner}] x [${out},${inner}]`, {
      ours: async () => {
        const x = await normal([rows, inner], 'bf16', 1);
        using weight = await normal([out, inner], 'bf16', 2);
        const quantized = quantize(weight, kind);
        const weights: QuantizedWeight[] = [quantized];
        // So many that no cache holds them: 2.2 GB, read in turn.
        for (let i = 1; i < (rows === 1 ? 2.2e9 / bytes[kind] : 1); i++) weights.push({ ...quantized, values: copy(quantized.values) });
        let next = 0;
        return () => void quantizedLinear(x, weights[next++ % weights.length] as QuantizedWeight);
      },
      torch: { setup: setup(rows, rows === 1 ? 24 : 1), run: 'F.linear(x, next(weights))' },
      ...(rows === 1 ? { bytes: bytes[kind], goal: { share: 0.85 } } : { flops: 2 * rows * inner * out }),
    }),
  ),
);

// What came before is trained (QLoRA), the weight is not.
const trained = (['int8', 'int4'] as const).map((kind) =>
  withGradient({
    name: `quantizedLinear ${kind} [700,${inner}] x [${out},${inner}]`,
    dtype: 'bf16',
    inputs: { x: [700, inner] },
    output: [700, out],
    ours: () => {
      const quantized = quantize(zeros([out, inner], 'bf16'), kind);
      return (of) => quantizedLinear(of.x as Tensor, quantized);
    },
    torch: 'F.linear(x, weight)',
    setup: `weight = torch.randn(${out}, ${inner}).to(torch.bfloat16)`,
    flops: 4 * 700 * inner * out,
    bytes: 2 * bytes[kind] + 2 * 700 * (3 * inner + 2 * out),
  }),
);

export default [...once, ...trained];
