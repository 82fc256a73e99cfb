import { backward, linearCrossEntropy, memory, resetPeak, synchronize, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// The head of MGLMM 7B and its loss over 700 positions that all have a label, forward and backward.
const [rows, dim, vocab] = [700, 4096, 32007];

export default [
  pair(`head and cross entropy, forward and backward, bf16 [${rows}, ${dim}] x [${vocab}, ${dim}]`, {
    ours: async () => {
      const [hidden, weight] = [await normal([rows, dim], 'bf16', 1), await normal([vocab, dim], 'bf16', 2)];
      const labels = tensor(Int32Array.from({ length: rows }, (_, row) => (row * 7919) % vocab));
      const one = tensor([1], []);
      hidden.requiresGrad = true;
      weight.requiresGrad = true;
      const run = () => {
        backward(linearCrossEntropy(hidden, weight, labels).loss, one);
        for (const leaf of [hidden, weight]) {
          leaf.grad?.dispose();
          leaf.grad = undefined;
        }
      };
      await synchronize();
      resetPeak(hidden.device);
      const before = memory(hidden.device).liveBytes;
      run();
      await synchronize();
      console.log(
        `ours: ${((memory(hidden.device).peakBytes - before) / 2 ** 20).toFixed(0)} MiB above the inputs, of them 256 the gradients`,
      );
      return run;
    },
    torch: {
      setup: `
        import resource, sys
        torch.set_grad_enabled(True)
        hidden = torch.randn(${rows}, ${dim}).bfloat16().requires_grad_()
        weight = torch.randn(${vocab}, ${dim}).bfloat16().requires_grad_()
        labels = torch.arange(${rows}) * 7919 % ${vocab}
      `,
      run: `
        hidden.grad = None
        weight.grad = None
        F.cross_entropy(F.linear(hidden, weight), labels).backward()
      `,
    },
    flops: 6 * rows * dim * vocab,
    goal: 1.0,
  }),
];
