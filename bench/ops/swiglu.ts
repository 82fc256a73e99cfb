import { swiglu } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// The MLP of LLaMA 7B over a prompt of 700 tokens.
const shape = [700, 11008];
const count = 700 * 11008;

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`swiglu ${dtype} [${shape}]`, {
    ours: async () => {
      const [gate, up] = [await normal(shape, dtype, 1), await normal(shape, dtype, 2)];
      return () => void swiglu(gate, up);
    },
    torch: {
      setup: `
        gate, up = (torch.randn(700, 11008).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}) for _ in range(2))
      `,
      run: 'F.silu(gate) * up',
    },
    bytes: 3 * count * (dtype === 'f32' ? 4 : 2),
    goal: 1.0,
  }),
);
