import { maskBits, tensor } from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

const side = 256;

/** Logits of `count` things, discs of 8 to 50 pixels radius, falling off to -10 outside. */
function things(count: number): Float32Array {
  return Float32Array.from({ length: count * side * side }, (_, i) => {
    const mask = Math.floor(i / (side * side));
    const [x, y, radius] = [40 + ((mask * 7919) % 176), 40 + ((mask * 104729) % 100), 8 + ((mask * 31) % 42)];
    const away = Math.hypot((i % side) - x, (Math.floor(i / side) % side) - y);
    return Math.max(-10, radius - away);
  });
}

const sizes = { inputSize: 1024, resized: [683, 1024], original: [1500, 2250] } as const;
/** Of a mask: logits read, bits written. */
const bytes = side * side * 4 + (1500 * 2250) / 8;
const run = `
  input = F.interpolate(logits, (1024, 1024), mode="bilinear", align_corners=False)[..., :683, :1024]
  F.interpolate(input, (1500, 2250), mode="bilinear", align_corners=False) > 0
`;

// Masks of SAM to a photograph of 1500 x 2250; PyTorch as segment-anything does it. Noise is the worst case: some logit is above 0
// everywhere.
export default [
  ...[1, 32].map((masks) =>
    pair(`maskBits [${masks}, 256, 256] to 1500 x 2250, things`, {
      ours: () => {
        const logits = tensor(things(masks), [masks, side, side]);
        return () => void maskBits(logits, sizes);
      },
      torch: { setup: `logits = torch.randn(${masks}, 1, 256, 256)`, run },
      bytes: masks * bytes,
      goal: 8,
    }),
  ),
  pair('maskBits [32, 256, 256] to 1500 x 2250, noise', {
    ours: async () => {
      const logits = await normal([32, side, side]);
      return () => void maskBits(logits, sizes);
    },
    torch: { setup: 'logits = torch.randn(32, 1, 256, 256)', run },
    bytes: 32 * bytes,
    goal: 8,
  }),
];
