import { samAttention, samAttentionPacked, type Tensor } from '../../lib';
import { normal } from '../data';
import { type Case, pair } from '../harness';
import { withGradient } from '../sides';

/** As segment-anything does it: the bias made by two einsums and added to the whole matrix of logits. */
const attending = (batch: number, heads: number, side: number, dim: number) => `
places = torch.arange(${side})[:, None] - torch.arange(${side})[None, :] + ${side - 1}
def attend(q, k, v):
    attn = (q * ${dim ** -0.5}) @ k.transpose(-2, -1)
    r_q = q.reshape(${batch * heads}, ${side}, ${side}, ${dim})
    rel_h = torch.einsum('bhwc,hkc->bhwk', r_q, rel_pos_h[places])
    rel_w = torch.einsum('bhwc,wkc->bhwk', r_q, rel_pos_w[places])
    attn = (attn.view(${batch * heads}, ${side}, ${side}, ${side}, ${side}) + rel_h[:, :, :, :, None] + rel_w[:, :, :, None, :]).view(
        ${batch * heads}, ${side * side}, ${side * side})
    return attn.softmax(dim=-1) @ v
def attend_with_bias():
    r_q = q.view(${batch * heads}, ${side}, ${side}, ${dim})
    rel_h = torch.einsum('bhwc,hkc->bhwk', r_q, rel_pos_h[places]).contiguous()
    rel_w = torch.einsum('bhwc,wkc->bhwk', r_q, rel_pos_w[places]).contiguous()
    bias = (rel_h[:, :, :, :, None] + rel_w[:, :, :, None, :]).view(1, ${batch * heads}, ${side * side}, ${side * side})
    return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=bias)
`;

const torchOf = (batch: number, heads: number, side: number, dim: number, dtype: string) => ({
  setup: `
q, k, v = (torch.randn(${batch * heads}, ${side * side}, ${dim}).to(${dtype}) for _ in range(3))
rel_pos_h, rel_pos_w = (torch.randn(${2 * side - 1}, ${dim}).to(${dtype}) for _ in range(2))
${attending(batch, heads, side, dim)}`,
  run: 'attend(q, k, v)',
});

const one = (what: string, batch: number, heads: number, side: number, dim: number, goal: number) =>
  (['f32', 'bf16'] as const).map((dtype) =>
    pair(`samAttention ${what} ${dtype} ${batch} x ${heads} heads, ${side} x ${side} tokens of ${dim}`, {
      ours: async () => {
        const shape = [batch, heads, side * side, dim];
        const [q, k, v] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2), await normal(shape, dtype, 3)];
        const [relPosH, relPosW] = [await normal([2 * side - 1, dim], dtype, 4), await normal([2 * side - 1, dim], dtype, 5)];
        return () => void samAttention(q, k, v, relPosH, relPosW, { height: side, width: side });
      },
      torch: torchOf(batch, heads, side, dim, dtype === 'f32' ? 'torch.float32' : 'torch.bfloat16'),
      flops: 4 * batch * heads * side ** 4 * dim,
      goal,
    }),
  );

/** A block's map in windows of 14, the last ones filled up; segment-anything cuts them out and puts them back. */
const inWindows = (heads: number, dim: number) =>
  (['f32', 'bf16'] as const).map((dtype) => {
    const { setup } = torchOf(25, heads, 14, dim, dtype === 'f32' ? 'torch.float32' : 'torch.bfloat16');
    return pair(`samAttentionPacked ${dtype} ${heads} heads, 64 x 64 tokens of ${dim}, windows of 14`, {
      ours: async () => {
        const qkv = await normal([1, 64 * 64, 3 * heads * dim], dtype, 1);
        const [relPosH, relPosW] = [await normal([27, dim], dtype, 2), await normal([27, dim], dtype, 3)];
        return () => void samAttentionPacked(qkv, relPosH, relPosW, { heads, height: 64, width: 64, window: 14 });
      },
      torch: {
        setup: `${setup}
qkv = torch.randn(1, 64, 64, ${3 * heads * dim}).to(q.dtype)
def attend_in_windows():
    windows = F.pad(qkv, (0, 0, 0, 6, 0, 6)).view(5, 14, 5, 14, 3, ${heads}, ${dim}).permute(4, 0, 2, 5, 1, 3, 6).reshape(3, ${25 * heads}, 196, ${dim})
    y = attend(*windows).view(5, 5, ${heads}, 14, 14, ${dim}).permute(0, 3, 1, 4, 2, 5).reshape(70, 70, ${heads * dim})
    return y[:64, :64].contiguous()
`,
        run: 'attend_in_windows()',
      },
      flops: 4 * 64 ** 2 * 14 ** 2 * heads * dim,
    });
  });

/** PyTorch's fused attention, to which the bias comes as a matrix. */
const besideFused = (heads: number, side: number, dim: number) => {
  const [, bf16] = one('global', 1, heads, side, dim, 1.6);
  const { name, ours, torch, flops } = bf16 as Case;
  const fused = torch && { ...torch, run: 'attend_with_bias()' };
  return pair(`${name}, beside SDPA with bias`, { ours, torch: fused, flops, gpuOnly: true, gpuGoal: 3 });
};

/** A global block in training, tables of relative positions included; PyTorch as segment-anything does it. */
const trained = (heads: number, side: number, dim: number) =>
  (['f32', 'bf16'] as const).map((dtype) => {
    const shape = [1, heads, side * side, dim];
    const table = [2 * side - 1, dim];
    return withGradient({
      name: `samAttention global ${heads} heads, ${side} x ${side} tokens of ${dim}`,
      dtype,
      inputs: { q: shape, k: shape, v: shape, rel_pos_h: table, rel_pos_w: table },
      output: shape,
      ours: () => (of) =>
        samAttention(of.q as Tensor, of.k as Tensor, of.v as Tensor, of.rel_pos_h as Tensor, of.rel_pos_w as Tensor, {
          height: side,
          width: side,
        }),
      torch: 'attend(q, k, v)',
      setup: attending(1, heads, side, dim),
      flops: 14 * heads * side ** 4 * dim,
    });
  });

export default [
  besideFused(16, 64, 80),
  ...one('global', 1, 16, 64, 80, 1.6),
  ...one('global', 1, 16, 64, 64, 1.6),
  ...one('window', 25, 16, 14, 80, 1.6),
  ...one('window', 25, 12, 14, 64, 1.6),
  ...inWindows(16, 80),
  ...inWindows(12, 64),
  ...trained(12, 32, 64),
];
