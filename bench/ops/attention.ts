import { attention, attentionCached, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const dtypes = ['f32', 'bf16'] as const;
const torchDtype = (dtype: 'f32' | 'bf16') => `torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}`;
const bytesOf = (dtype: 'f32' | 'bf16') => (dtype === 'f32' ? 4 : 2);

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

/** A step of generation: one query over the cache. */
const decode = (heads: number, kvHeads: number, keys: number, dim: number) =>
  dtypes.map((dtype) =>
    pair(`attention decode ${dtype} ${heads} heads on ${kvHeads}, ${keys} cached keys of ${dim}`, {
      ours: async () => {
        const cache = [1, kvHeads, keys, dim];
        const [keyCache, valueCache] = [await normal(cache, dtype, 1), await normal(cache, dtype, 2)];
        const q = await normal([1, heads, 1, dim], dtype, 3);
        const [k, v] = [await normal([1, kvHeads, 1, dim], dtype, 4), await normal([1, kvHeads, 1, dim], dtype, 5)];
        const offsets = tensor([keys - 1], [1], 'i32');
        return () => void attentionCached(q, k, v, keyCache, valueCache, offsets);
      },
      torch: {
        setup: `
          q = torch.randn(1, ${heads}, 1, ${dim}).to(${torchDtype(dtype)})
          keys, values = (torch.randn(1, ${kvHeads}, ${keys}, ${dim}).to(${torchDtype(dtype)}) for _ in range(2))
          k, v = (torch.randn(1, ${kvHeads}, 1, ${dim}).to(${torchDtype(dtype)}) for _ in range(2))
        `,
        run: `
          keys[:, :, -1:] = k
          values[:, :, -1:] = v
          F.scaled_dot_product_attention(q, keys, values, enable_gqa=${heads === kvHeads ? 'False' : 'True'})
        `,
      },
      bytes: 2 * kvHeads * keys * dim * bytesOf(dtype),
      goal: 1,
    }),
  );

export default [
  ...prefill(32, 700, 128, 1.2),
  ...full(16, 577, 577, 64),
  ...full(8, 7, 4096, 16),
  ...full(8, 4096, 7, 16),
  ...decode(32, 32, 700, 128),
  ...decode(32, 32, 4096, 128),
  ...decode(32, 4, 4096, 64),
];
