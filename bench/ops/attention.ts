import { attention } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const dtypes = ['f32', 'bf16'] as const;
const torchDtype = (dtype: 'f32' | 'bf16') => `torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}`;

/** One layer of LLaMA 7B over a prompt. */
const prefill = (heads: number, tokens: number, dim: number, goal: number) =>
  dtypes.map((dtype) =>
    pair(`attention causal ${dtype} ${heads} heads, ${tokens} tokens of ${dim}`, {
      ours: async () => {
        const shape = [1, heads, tokens, dim];
        const [q, k, v] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2), await normal(shape, dtype, 3)];
        return () => void attention(q, k, v, { causal: true });
      },
      torch: {
        setup: `q, k, v = (torch.randn(1, ${heads}, ${tokens}, ${dim}).to(${torchDtype(dtype)}) for _ in range(3))`,
        run: 'F.scaled_dot_product_attention(q, k, v, is_causal=True)',
      },
      flops: 4 * heads * dim * ((tokens * (tokens + 1)) / 2),
      goal,
    }),
  );

/** CLIP ViT-L/14-336, and the mask decoder's image-to-token and token-to-image attention. */
const full = (heads: number, queries: number, keys: number, dim: number) =>
  dtypes.map((dtype) =>
    pair(`attention ${dtype} ${heads} heads, ${queries} queries, ${keys} keys of ${dim}`, {
      ours: async () => {
        const q = await normal([1, heads, queries, dim], dtype, 1);
        const [k, v] = [await normal([1, heads, keys, dim], dtype, 2), await normal([1, heads, keys, dim], dtype, 3)];
        return () => void attention(q, k, v);
      },
      torch: {
        setup: `
          q = torch.randn(1, ${heads}, ${queries}, ${dim}).to(${torchDtype(dtype)})
          k, v = (torch.randn(1, ${heads}, ${keys}, ${dim}).to(${torchDtype(dtype)}) for _ in range(2))
        `,
        run: 'F.scaled_dot_product_attention(q, k, v)',
      },
      flops: 4 * heads * queries * keys * dim,
      goal: 1,
    }),
  );

export default [...prefill(32, 700, 128, 1.2), ...full(16, 577, 577, 64), ...full(8, 7, 4096, 16), ...full(8, 4096, 7, 16)];
