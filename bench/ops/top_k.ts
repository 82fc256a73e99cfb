import { topK } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const vocab = 32007;

export default [
  pair(`top 50 f32 [1, ${vocab}]`, {
    ours: async () => {
      const logits = await normal([1, vocab]);
      return () => void topK(logits, 50);
    },
    torch: { setup: `logits = torch.randn(1, ${vocab})`, run: 'logits.topk(50)' },
    bytes: 4 * vocab,
    goal: 1.0,
  }),
];
