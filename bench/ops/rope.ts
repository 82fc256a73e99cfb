import { rope, type Tensor, tensor } from '../../lib';
import { normal, sizeOf, torchDtype, torchNormal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

const positions = () =>
  tensor(
    Int32Array.from({ length: 700 }, (_, i) => i),
    [1, 700],
  );
const tables = (dtype: 'f32' | 'bf16') => `
angles = torch.outer(torch.arange(700).float(), 1.0 / (10000 ** (torch.arange(0, 128, 2).float() / 128)))
angles = torch.cat((angles, angles), dim=-1)
cos, sin = (one.to(${torchDtype[dtype]}) for one in (angles.cos(), angles.sin()))`;
const run = 'x * cos + torch.cat((-x[..., 64:], x[..., :64]), dim=-1) * sin';

/** The queries of one layer of LLaMA 7B over a prompt; the peer is Hugging Face's code, its cosines made once a model run. */
export default (['f32', 'bf16'] as const).flatMap((dtype) => [
  pair(`rope ${dtype} 32 heads, 700 tokens of 128`, {
    ours: async () => {
      const x = await normal([1, 32, 700, 128], dtype, 1);
      const at = positions();
      return () => void rope(x, at);
    },
    torch: { setup: `x = ${torchNormal([1, 32, 700, 128], dtype)}${tables(dtype)}`, run },
    bytes: 2 * 32 * 700 * 128 * sizeOf[dtype],
    goal: 1,
  }),
  withGradient({
    name: 'rope 32 heads, 700 tokens of 128',
    dtype,
    inputs: { x: [1, 32, 700, 128] },
    output: [1, 32, 700, 128],
    ours: () => {
      const at = positions();
      return (of) => rope(of.x as Tensor, at);
    },
    torch: run,
    setup: tables(dtype),
    bytes: 4 * 32 * 700 * 128 * sizeOf[dtype],
  }),
]);
