import { attentionCached, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const dtypes = ['f32', 'bf16'] as const;
const torchDtype = (dtype: 'f32' | 'bf16') => `torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}`;
const bytesOf = (dtype: 'f32' | 'bf16') => (dtype === 'f32' ? 4 : 2);

/** A step of generation: one query over the cache, which is one piece or, as models have it, pages of 64 tokens in some order. */
const decode = (heads: number, kvHeads: number, keys: number, dim: number, paged = false) =>
  dtypes.map((dtype) =>
    pair(`attentionCached ${dtype} ${heads} heads on ${kvHeads}, ${keys} cached keys of ${dim}${paged ? ' in pages' : ''}`, {
      ours: async () => {
        const pages = Math.ceil(keys / 64);
        const order = Array.from({ length: pages }, (_, i) => (i % 2 === 0 ? i : 2 * Math.floor(pages / 2) - i));
        const pageTable = paged ? tensor(order, [1, pages], 'i32') : undefined;
        const cache = paged ? [pages, kvHeads, 64, dim] : [1, kvHeads, keys, dim];
        const [keyCache, valueCache] = [await normal(cache, dtype, 1), await normal(cache, dtype, 2)];
        const q = await normal([1, heads, 1, dim], dtype, 3);
        const [k, v] = [await normal([1, kvHeads, 1, dim], dtype, 4), await normal([1, kvHeads, 1, dim], dtype, 5)];
        const offsets = tensor([keys - 1], [1], 'i32');
        return () => void attentionCached(q, k, v, keyCache, valueCache, offsets, { pageTable });
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

export default [...decode(32, 32, 700, 128), ...decode(32, 32, 700, 128, true), ...decode(32, 32, 4096, 128), ...decode(32, 4, 4096, 64)];
