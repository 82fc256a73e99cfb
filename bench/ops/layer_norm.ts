import { sides } from '../sides';

export default [
  [4096, 1280],
  [577, 1024],
  [6, 256],
].flatMap((shape) =>
  sides({
    op: 'layerNorm',
    shape,
    others: { weight: [shape[1] as number], bias: [shape[1] as number] },
    torch: `F.layer_norm(x, (${shape[1]},), weight, bias, 1e-6)`,
    saved: ['mean', 'rstd'],
  }),
);
