import { upscaleMasks } from '../../lib';
import { normal, torchDtype, torchNormal } from '../data';
import { pair } from '../harness';

const [dim, mid, channels, side] = [256, 64, 32, 64];

export default ([1, 32] as const).flatMap((masks) =>
  (['f32', 'bf16'] as const).map((dtype) =>
    pair(`upscaleMasks ${dtype} ${masks} x [${side ** 2},${dim}]`, {
      ours: async () => {
        const x = await normal([masks, side * side, dim], dtype, 1);
        const weights = {
          weight1: await normal([dim, mid, 2, 2], dtype, 2),
          bias1: await normal([mid], dtype, 3),
          normWeight: await normal([mid], dtype, 4),
          normBias: await normal([mid], dtype, 5),
          weight2: await normal([mid, channels, 2, 2], dtype, 6),
          bias2: await normal([channels], dtype, 7),
        };
        const hyper = await normal([masks, 1, channels], dtype, 8);
        return () => void upscaleMasks(x, weights, hyper, { width: side });
      },
      torch: {
        setup: `
          x = ${torchNormal([masks, dim, side, side], dtype)}
          first, second = (torch.nn.ConvTranspose2d(*sizes, 2, 2).to(${torchDtype[dtype]}) for sizes in ((${dim}, ${mid}), (${mid}, ${channels})))
          weight, bias = ${torchNormal([mid, 1, 1], dtype)}, ${torchNormal([mid, 1, 1], dtype)}
          hyper = ${torchNormal([masks, 1, channels], dtype)}
          def upscale():
              y = first(x)
              mean = y.mean(1, keepdim=True)
              variance = (y - mean).pow(2).mean(1, keepdim=True)
              y = F.gelu(weight * ((y - mean) / torch.sqrt(variance + 1e-6)) + bias)
              y = F.gelu(second(y))
              return (hyper @ y.view(${masks}, ${channels}, -1)).view(${masks}, 1, ${4 * side}, ${4 * side})
        `,
        run: 'upscale()',
      },
      flops: masks * side ** 2 * 8 * (dim * mid + 4 * mid * channels + 4 * channels),
      goal: 3,
    }),
  ),
);
