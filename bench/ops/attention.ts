import { attention } from '../../lib';
import { run } from '../../lib/autograd/call';
import { tidy } from '../../lib/tensor/scope';
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

/** PyTorch's side over a prompt, by the fastest of its ways for these sizes, which its set-up finds. */
const fastest = (way: 'forward' | 'gradient', tokens: number, dim: number) => ({
  setup: `
    import time
    from torch.nn.attention import SDPBackend, sdpa_kernel
    torch.set_grad_enabled(${way === 'gradient' ? 'True' : 'False'})
    q, k, v, dy = (torch.randn(1, 32, ${tokens}, ${dim}).to(torch.bfloat16).requires_grad_() for _ in range(4))
    def forward():
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    def gradient():
        return torch.autograd.grad(y, (q, k, v), dy, retain_graph=True)
    def seconds(backend):
        global y
        try:
            with sdpa_kernel(backend):
                y = forward()
                ${way}()
                settled()
                start = time.perf_counter()
                for _ in range(10):
                    ${way}()
                settled()
                return time.perf_counter() - start
        except RuntimeError:
            return float('inf')
    fastest = min((SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION), key=seconds)
    with sdpa_kernel(fastest):
        y = forward()
  `,
  run: `${way}()`,
  within: 'sdpa_kernel(fastest)',
});

/** Long prompts. */
const long = (tokens: number, dim: number) =>
  pair(`attention causal bf16 32 heads, ${tokens} tokens of ${dim}`, {
    ours: async () => {
      const shape = [1, 32, tokens, dim];
      const [q, k, v] = [await normal(shape, 'bf16', 1), await normal(shape, 'bf16', 2), await normal(shape, 'bf16', 3)];
      return () => void attention(q, k, v, { causal: true });
    },
    torch: fastest('forward', tokens, dim),
    flops: 4 * 32 * dim * ((tokens * (tokens + 1)) / 2),
    bytes: 4 * 32 * tokens * dim * 2,
    gpuOnly: true,
    gpuGoal: 0.9,
  });

/** One layer of LLaMA in training: dq, dk and dv, of five products of which each is as long as one of the two of the forward. */
const gradient = (tokens: number, dim: number) =>
  pair(`attention gradient causal bf16 32 heads, ${tokens} tokens of ${dim}`, {
    ours: async () => {
      const shape = [1, 32, tokens, dim];
      const [q, k, v] = [await normal(shape, 'bf16', 1), await normal(shape, 'bf16', 2), await normal(shape, 'bf16', 3)];
      const dy = await normal(shape, 'bf16', 4);
      const given = { q, k, v, causal: true };
      const { y, logsumexp } = tidy(() => run('attention', given, ['y', 'logsumexp']));
      return () => void run('attentionBackward', { ...given, dy, y, logsumexp }, ['dq', 'dk', 'dv']);
    },
    torch: fastest('gradient', tokens, dim),
    flops: 10 * 32 * dim * ((tokens * (tokens + 1)) / 2),
    bytes: 8 * 32 * tokens * dim * 2,
    gpuOnly: tokens > 1000,
  });

export default [
  ...prefill(32, 700, 128, 1.2),
  ...full(16, 577, 577, 64),
  ...full(8, 7, 4096, 16),
  ...full(8, 4096, 7, 16),
  ...[64, 128].flatMap((dim) => [2048, 4096, 8192].map((tokens) => long(tokens, dim))),
  gradient(700, 128),
  ...[64, 128].flatMap((dim) => [2048, 8192].map((tokens) => gradient(tokens, dim))),
];
