import { sides } from '../sides';

// PyTorch has no such op: SAM's module computes it as written in `torch`, the quicker way is its layer norm with the channels last.
const formula = (channels: number) =>
  `F.layer_norm(x.permute(0, 2, 3, 1), (${channels},), weight, bias, 1e-6).permute(0, 3, 1, 2).contiguous()`;

export default [
  [1, 256, 64, 64],
  [1, 64, 128, 128],
].flatMap((shape) => {
  const channels = shape[1] as number;
  return sides({
    op: 'layerNorm2d',
    shape,
    others: { weight: [channels], bias: [channels] },
    torch: formula(channels),
    saved: ['mean', 'rstd'],
  });
});
