import { backward, bilinear } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

// Low-resolution masks to the size of SAM's input, and the gradient of 8 of them.
export default [
  pair('bilinear [32, 256, 256] to 1024 f32', {
    ours: async () => {
      const x = await normal([32, 256, 256]);
      return () => void bilinear(x, 1024, 1024);
    },
    torch: {
      setup: 'x = torch.randn(32, 1, 256, 256)',
      run: 'F.interpolate(x, (1024, 1024), mode="bilinear", align_corners=False)',
    },
    bytes: 4 * 32 * (256 ** 2 + 1024 ** 2),
  }),
  pair('bilinear and its gradient [8, 256, 256] to 1024 f32', {
    ours: async () => {
      const [x, dy] = [await normal([8, 256, 256]), await normal([8, 1024, 1024])];
      x.requiresGrad = true;
      return () => {
        backward(bilinear(x, 1024, 1024), dy);
        x.grad?.dispose();
        x.grad = undefined;
      };
    },
    torch: {
      setup: `
        x = torch.randn(8, 1, 256, 256, requires_grad=True)
        dy = torch.randn(8, 1, 1024, 1024)
      `,
      run: `
        with torch.enable_grad():
            torch.autograd.grad(F.interpolate(x, (1024, 1024), mode="bilinear", align_corners=False), x, dy)
      `,
    },
    bytes: 4 * 8 * 2 * (256 ** 2 + 1024 ** 2),
  }),
];
