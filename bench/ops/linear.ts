import { type Dtype, linear, loraLinear, pack, type Tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

type Sizes = readonly [rows: number, inner: number, out: number];

// LLaMA 7B over a prompt of 700 tokens (attention, MLP), CLIP ViT-L, SAM ViT-H (MLP, qkv).
const products: readonly Sizes[] = [
  [700, 4096, 4096],
  [700, 4096, 11008],
  [700, 11008, 4096],
  [577, 1024, 4096],
  [4096, 1280, 5120],
  [4096, 1280, 3840],
  [4096, 5120, 1280],
];
const torchDtype = { f32: 'float32', bf16: 'bfloat16' } as const;
const bytesOf = { f32: 4, bf16: 2 } as const;

async function packed(shape: readonly number[], dtype: Dtype, seed: number): Promise<Tensor> {
  using rows = await normal(shape, dtype, seed);
  return pack(rows);
}

const large = (['f32', 'bf16'] as const).flatMap((dtype) =>
  products.map(([rows, inner, out]) =>
    pair(`linear ${dtype} [${rows},${inner}] x [${out},${inner}]`, {
      ours: async () => {
        const [x, weight] = [await normal([rows, inner], dtype, 1), await packed([out, inner], dtype, 2)];
        return () => void linear(x, weight);
      },
      torch: {
        setup: `
          x, weight = (torch.randn(rows, ${inner}).to(torch.${torchDtype[dtype]}) for rows in (${rows}, ${out}))
        `,
        run: 'F.linear(x, weight)',
      },
      flops: 2 * rows * inner * out,
      goal: dtype === 'f32' ? 1.15 : 1,
    }),
  ),
);

// The last product of a block of SAM ViT-H, with the residual connection around its MLP.
const connected = (['f32', 'bf16'] as const).map((dtype) => {
  const [rows, inner, out] = [4096, 5120, 1280];
  return pair(`linear with bias and residual ${dtype} [${rows},${inner}] x [${out},${inner}]`, {
    ours: async () => {
      const [x, weight] = [await normal([rows, inner], dtype, 1), await packed([out, inner], dtype, 2)];
      const [bias, residual] = [await normal([out], dtype, 3), await normal([rows, out], dtype, 4)];
      return () => void linear(x, weight, bias, { residual });
    },
    torch: {
      setup: `
        x, weight = (torch.randn(rows, ${inner}).to(torch.${torchDtype[dtype]}) for rows in (${rows}, ${out}))
        bias, residual = torch.randn(${out}).to(x.dtype), torch.randn(${rows}, ${out}).to(x.dtype)
      `,
      run: 'residual + F.linear(x, weight, bias)',
    },
    flops: 2 * rows * inner * out,
    goal: dtype === 'f32' ? 1.15 : 1,
  });
});

/** Weights that are read in turn, so many that no cache holds them: 2.2 GB. */
const copies = (dtype: keyof typeof bytesOf, inner: number, out: number) => Math.ceil(2.2e9 / (inner * out * bytesOf[dtype]));

const fewRows = (['f32', 'bf16'] as const).flatMap((dtype) =>
  (
    [
      [1, 4096, 11008],
      [1, 11008, 4096],
      [4, 4096, 11008],
    ] as const
  ).map(([rows, inner, out]) =>
    pair(`linear ${dtype} [${rows},${inner}] x [${out},${inner}]`, {
      ours: async () => {
        const x = await normal([rows, inner], dtype, 1);
        const weights: Tensor[] = [];
        for (let i = 0; i < copies(dtype, inner, out); i++) weights.push(await packed([out, inner], dtype, 2));
        let next = 0;
        return () => void linear(x, weights[next++ % weights.length] as Tensor);
      },
      torch: {
        setup: `
          import itertools
          x = torch.randn(${rows}, ${inner}).to(torch.${torchDtype[dtype]})
          weights = [torch.randn(${out}, ${inner}).to(torch.${torchDtype[dtype]})]
          weights = itertools.cycle(weights + [weights[0].clone() for _ in range(${copies(dtype, inner, out) - 1})])
        `,
        run: 'F.linear(x, next(weights))',
      },
      bytes: inner * out * bytesOf[dtype],
      goal: { share: 0.85 },
    }),
  ),
);

// LoRA of rank 8 on the query of LLaMA 7B.
const lora = pair('loraLinear bf16 [700,4096] x [4096,4096]', {
  ours: async () => {
    const [x, weight] = [await normal([700, 4096], 'bf16', 1), await packed([4096, 4096], 'bf16', 2)];
    const [loraA, loraB] = [await normal([8, 4096], 'bf16', 3), await normal([4096, 8], 'bf16', 4)];
    return () => void loraLinear(x, weight, loraA, loraB, { scaling: 2 });
  },
  torch: {
    setup: 'x, weight, a, b = (torch.randn(*s).to(torch.bfloat16) for s in ((700, 4096), (4096, 4096), (8, 4096), (4096, 8)))',
    run: 'F.linear(x, weight) + 2 * F.linear(F.linear(x, a), b)',
  },
  flops: 2 * 700 * 4096 * (4096 + 16),
  goal: 1,
});

// A projection of LLaMA 7B that is trained whole.
const trained = (['f32', 'bf16'] as const).map((dtype) => {
  const [rows, size] = [700, 4096];
  return withGradient({
    name: `linear [${rows},${size}] x [${size},${size}]`,
    dtype,
    inputs: { x: [rows, size], weight: [size, size] },
    output: [rows, size],
    ours: () => (of) => linear(of.x as Tensor, of.weight as Tensor),
    torch: 'F.linear(x, weight)',
    flops: 6 * rows * size * size,
  });
});

export default [...large, ...connected, ...fewRows, lora, ...trained];
