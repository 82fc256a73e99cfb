import { full } from '../../lib';
import { sizeOf, torchDtype } from '../data';
import { pair } from '../harness';

const shape = [700, 4096]; // hidden states of LLaMA 7B over a prompt of 700 tokens
const count = 700 * 4096;

export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`fill ${dtype} [${shape}]`, {
    ours: () => () => void full(shape, 0.5, dtype),
    torch: { setup: `dtype = ${torchDtype[dtype]}`, run: 'torch.full((700, 4096), 0.5, dtype=dtype, device=device)' },
    bytes: count * sizeOf[dtype],
    goal: 1.0,
  }),
]);
