import { add, backward, maskLoss, upload } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const goals = { goal: 1.0, gpuGoal: 5 };

/** Both losses of masks and their gradient, targets as bytes on our side, as floats where PyTorch, which resizes first, wants them. */
const masksOf = (masks: number, low: number, side: number) =>
  pair(`maskLoss and its gradient [${masks}, ${low}, ${low}]${low === side ? '' : ` at ${side} x ${side}`}`, {
    ours: async () => {
      const pred = await normal([masks, low, low]);
      pred.requiresGrad = true;
      const pixels = masks * side * side;
      const target = await upload(new Uint8Array(pixels).fill(1, 0, pixels / 8), [masks, side, side]);
      return () => {
        const { bce, dice } = maskLoss(pred, target);
        backward(add(bce, dice));
        pred.grad?.dispose();
        pred.grad = undefined;
      };
    },
    torch: {
      setup: `
        low = torch.randn(${masks}, ${low}, ${low}, requires_grad=True)
        target = (torch.rand(${masks}, ${side}, ${side}) < 0.1).float()
        def losses():
            pred = low
            if low.shape != target.shape:
                pred = F.interpolate(low[None], target.shape[1:], mode="bilinear", align_corners=False)[0]
            bce = F.binary_cross_entropy_with_logits(pred, target, reduction="none").flatten(1).mean(1).sum() / (${masks} + 1e-8)
            p, t = pred.sigmoid().flatten(1), target.flatten(1)
            both = 2 * (p / 1000 * t).sum(-1)
            total = (p / 1000).sum(-1) + (t / 1000).sum(-1)
            return bce + (1 - (both + 1e-6) / (total + 1e-6)).sum() / (${masks} + 1e-8)
      `,
      run: `
        with torch.enable_grad():
            torch.autograd.grad(losses(), low)
      `,
    },
    bytes: masks * (12 * low ** 2 + 2 * side ** 2),
    ...goals,
  });

export default [masksOf(8, 1024, 1024), masksOf(64, 256, 1024), masksOf(12, 120, 240)];
