import { conv2d, type Tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';
import { withGradient } from '../sides';

interface Sizes {
  name: string;
  x: number[];
  weight: [number, number, number, number];
  stride: number;
  padding: number;
  outputs: number;
}

// SAM ViT-H's patch embedding of an image of 1024, and the second convolution of its neck.
const cases: Sizes[] = [
  { name: 'patches 16x16', x: [1, 3, 1024, 1024], weight: [1280, 3, 16, 16], stride: 16, padding: 0, outputs: 64 * 64 },
  { name: 'neck 3x3', x: [1, 256, 64, 64], weight: [256, 256, 3, 3], stride: 1, padding: 1, outputs: 64 * 64 },
];

export default cases.flatMap(({ name, x, weight, stride, padding, outputs }) =>
  (['f32', 'bf16'] as const).flatMap((dtype) => [
    pair(`conv2d ${name} ${dtype}`, {
      ours: async () => {
        const [image, kernel] = [await normal(x, dtype, 1), await normal(weight, dtype, 2)];
        return () => void conv2d(image, kernel, { stride, padding });
      },
      torch: {
        setup: `
          x, weight = (torch.randn(s).to(torch.${dtype === 'f32' ? 'float32' : 'bfloat16'}) for s in ([${x}], [${weight}]))
        `,
        run: `F.conv2d(x, weight, stride=${stride}, padding=${padding})`,
      },
      flops: 2 * weight.reduce((a, b) => a * b, 1) * outputs,
      goal: 1.0,
    }),
    withGradient({
      name: `conv2d ${name}`,
      dtype,
      inputs: { x, weight },
      output: [1, weight[0], Math.sqrt(outputs), Math.sqrt(outputs)],
      ours: () => (of) => conv2d(of.x as Tensor, of.weight as Tensor, { stride, padding }),
      torch: `F.conv2d(x, weight, stride=${stride}, padding=${padding})`,
      flops: 6 * weight.reduce((a, b) => a * b, 1) * outputs,
    }),
  ]),
);
