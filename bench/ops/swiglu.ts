import { swiglu, type Tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

// The MLP of LLaMA 7B over a prompt of 700 tokens.
const shape = [700, 11008];
const count = 700 * 11008;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
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
  withGradient({
    name: `swiglu [${shape}]`,
    dtype,
    inputs: { gate: shape, up: shape },
    output: shape,
    ours: () => (of) => swiglu(of.gate as Tensor, of.up as Tensor),
    torch: 'F.silu(gate) * up',
  }),
]);
