import { dequantize, quantize } from '../../lib';
import { normal, torchNormal } from '../data';
import { pair } from '../harness';

// A weight of LLaMA 7B's MLP, as it is quantised once on load. PyTorch's side: the same rounding by groups of 128, written out.
const shape = [11008, 4096];
const count = 11008 * 4096;
const setup = `weight = ${torchNormal(shape, 'bf16')}`;
const rounded = (levels: number) =>
  `(lambda groups: (groups / groups.abs().amax(-1, keepdim=True) * ${levels}).round().to(torch.int8))(weight.view(-1, 128))`;

export default (['int8', 'int4'] as const).flatMap((kind) => {
  const bytes = count * (kind === 'int8' ? 3 : 2.5);
  return [
    pair(`quantize ${kind} bf16 [${shape}]`, {
      ours: async () => {
        const weight = await normal(shape, 'bf16', 1);
        return () => {
          const { values, scales, minimums } = quantize(weight, kind);
          for (const made of [values, scales, minimums]) made?.dispose();
        };
      },
      torch: { setup, run: rounded(kind === 'int8' ? 127 : 7) },
      bytes,
    }),
    pair(`dequantize ${kind} bf16 [${shape}]`, {
      ours: async () => {
        using weight = await normal(shape, 'bf16', 1);
        const quantized = quantize(weight, kind);
        return () => dequantize(quantized).dispose();
      },
      torch: {
        setup: `values = torch.randint(-127, 127, (${count / 128}, 128), dtype=torch.int8)\nscales = torch.rand(${count / 128}, 1)`,
        run: '(values * scales).to(torch.bfloat16)',
      },
      bytes,
    }),
  ];
});
