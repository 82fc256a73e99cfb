import { add, backward, maskLoss, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// Both losses of 8 masks and their gradient, targets as bytes on our side, as floats where PyTorch wants them.
export default pair('maskLoss and its gradient [8, 1024, 1024]', {
  ours: async () => {
    const pred = await normal([8, 1024, 1024]);
    pred.requiresGrad = true;
    const target = tensor(new Uint8Array(8 << 20).fill(1, 0, 1 << 20), [8, 1024, 1024]);
    return () => {
      const { bce, dice } = maskLoss(pred, target);
      backward(add(bce, dice));
      pred.grad?.dispose();
      pred.grad = undefined;
    };
  },
  torch: {
    setup: `
      pred = torch.randn(8, 1024, 1024, requires_grad=True)
      target = (torch.rand(8, 1024, 1024) < 0.1).float()
      def losses():
          bce = F.binary_cross_entropy_with_logits(pred, target, reduction="none").flatten(1).mean(1).sum() / (8 + 1e-8)
          p, t = pred.sigmoid().flatten(1), target.flatten(1)
          both = 2 * (p / 1000 * t).sum(-1)
          total = (p / 1000).sum(-1) + (t / 1000).sum(-1)
          return bce + (1 - (both + 1e-6) / (total + 1e-6)).sum() / (8 + 1e-8)
    `,
    run: `
      with torch.enable_grad():
          torch.autograd.grad(losses(), pred)
    `,
  },
  bytes: (8 << 20) * (2 * 5 + 4),
  goal: 1.0,
  gpuGoal: 5,
});
