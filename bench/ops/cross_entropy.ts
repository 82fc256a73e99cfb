import { backward, crossEntropy, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// The head of MGLMM (LLaMA's vocabulary and seven tokens more) over 700 positions, forward and backward.
const [rows, vocab] = [700, 32007];

export default (['f32', 'bf16'] as const).map((dtype) =>
  pair(`cross entropy, forward and backward, ${dtype} [${rows}, ${vocab}]`, {
    ours: async () => {
      const logits = await normal([rows, vocab], dtype);
      logits.requiresGrad = true;
      const labels = tensor(Int32Array.from({ length: rows }, (_, row) => (row * 7919) % vocab));
      const one = tensor([1], []);
      return () => {
        backward(crossEntropy(logits, labels).loss, one);
        logits.grad?.dispose();
        logits.grad = undefined;
      };
    },
    torch: {
      setup: `
        torch.set_grad_enabled(True)
        logits = torch.randn(${rows}, ${vocab}).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}).requires_grad_()
        labels = torch.arange(${rows}) * 7919 % ${vocab}
      `,
      run: `
        logits.grad = None
        F.cross_entropy(logits, labels).backward()
      `,
    },
    bytes: 3 * rows * vocab * (dtype === 'f32' ? 4 : 2),
    goal: 1.0,
  }),
);
