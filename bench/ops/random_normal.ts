import { randomNormal } from '../../lib';
import { sizeOf, torchDtype } from '../data';
import { pair } from '../harness';

const shape = [4096, 1024];

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`randomNormal ${dtype} [${shape}]`, {
    ours: () => () => void randomNormal(shape, { seed: 1, dtype }),
    torch: { setup: `dtype = ${torchDtype[dtype]}`, run: 'torch.randn(4096, 1024, dtype=dtype, device=device)' },
    bytes: 4096 * 1024 * sizeOf[dtype],
    goal: 1.0,
  }),
);
