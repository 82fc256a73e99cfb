import { samAttention } from '../../lib';
import { normal } from '../data';
import { type Case, pair } from '../harness';

/** As segment-anything does it: the bias made by two einsums and added to the whole matrix of logits. */
const torchOf = (batch: number, heads: number, side: number, dim: number, dtype: string) => ({
  setup: `
    q, k, v = (torch.randn(${batch * heads}, ${side * side}, ${dim}).to(${dtype}) for _ in range(3))
    rel_pos_h, rel_pos_w = (torch.randn(${2 * side - 1}, ${dim}).to(${dtype}) for _ in range(2))
    places = torch.arange(${side})[:, None] - torch.arange(${side})[None, :] + ${side - 1}
    def attend():
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
  `,
  run: 'attend()',
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

/** PyTorch's fused attention, to which the bias comes as a matrix. */
const besideFused = (heads: number, side: number, dim: number) => {
  const [, bf16] = one('global', 1, heads, side, dim, 1.6);
  const { name, ours, torch, flops } = bf16 as Case;
  const fused = torch && { ...torch, run: 'attend_with_bias()' };
  return pair(`${name}, beside SDPA with bias`, { ours, torch: fused, flops, gpuOnly: true, gpuGoal: 3 });
};

export default [
  besideFused(16, 64, 80),
  ...one('global', 1, 16, 64, 80, 1.6),
  ...one('global', 1, 16, 64, 64, 1.6),
  ...one('window', 25, 16, 14, 80, 1.6),
  ...one('window', 25, 12, 14, 64, 1.6),
];
