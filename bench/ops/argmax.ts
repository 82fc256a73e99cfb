import { argmax } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// One step of greedy decoding: a row of logits of MGLMM's vocabulary.
const vocab = 32007;

export default [
  pair(`argmax f32 [1, ${vocab}]`, {
    ours: async () => {
      const logits = await normal([1, vocab]);
      return () => void argmax(logits);
    },
    torch: { setup: `logits = torch.randn(1, ${vocab})`, run: 'logits.argmax(-1)' },
    bytes: 4 * vocab,
    goal: 1.0,
  }),
];
