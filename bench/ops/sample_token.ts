import { sampleToken } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// One step of decoding: a row of logits of MGLMM's vocabulary.
const vocab = 32007;
const setup = `logits = torch.randn(1, ${vocab})`;
let offset = 0;

export default [
  pair(`sample, temperature 0.7, f32 [1, ${vocab}]`, {
    ours: async () => {
      const logits = await normal([1, vocab]);
      return () => void sampleToken(logits, { temperature: 0.7, offset: offset++ });
    },
    torch: { setup, run: 'torch.multinomial(torch.softmax(logits / 0.7, -1), 1)' },
    bytes: vocab * 4,
    goal: 1.0,
  }),
  pair(`sample, temperature 0.7, top 50, topP 0.9, f32 [1, ${vocab}]`, {
    ours: async () => {
      const logits = await normal([1, vocab]);
      return () => void sampleToken(logits, { temperature: 0.7, topK: 50, topP: 0.9, offset: offset++ });
    },
    torch: {
      setup,
      run: `
        values, ids = logits.topk(50)
        p = torch.softmax(values / 0.7, -1)
        p = torch.where(p.cumsum(-1) - p < 0.9, p, 0.0)
        ids.gather(-1, torch.multinomial(p, 1))
      `,
    },
    bytes: vocab * 4,
    goal: 1.0,
  }),
];
