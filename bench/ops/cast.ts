import { cast } from '../../lib';
import { normal, torchDtype, torchNormal } from '../data';
import { pair } from '../harness';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const directions = [
  ['f32', 'bf16'],
  ['bf16', 'f32'],
  ['f32', 'f16'],
  ['f16', 'f32'],
] as const;

export default directions.map(([from, to]) =>
  pair(`cast ${from} to ${to} [${shape}]`, {
    ours: async () => {
      const x = await normal(shape, from, 1);
      return () => void cast(x, to);
    },
    torch: { setup: `x = ${torchNormal(shape, from)}`, run: `x.to(${torchDtype[to]})` },
    bytes: 700 * 4096 * 6, // one of the two is f32
    goal: 1.0,
  }),
);
