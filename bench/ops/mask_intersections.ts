import { maskIntersections, packBits } from '../../lib';
import { pair } from '../harness';
import { discs, discsInPython, size } from '../masks';

export default pair(`maskIntersections, ${size.masks} x ${size.masks} masks ${size.height} x ${size.width}`, {
  bytes: (2 * size.masks * size.height * size.width) / 8,
  ours: async () => {
    const masks = await discs();
    const bits = packBits(masks);
    masks.dispose();
    return () => void maskIntersections(bits, bits);
  },
  torch: {
    setup: `${discsInPython}
  strings = coco.encode(masks)
`,
    run: `coco.iou(strings, strings, [0] * ${size.masks})`,
  },
});
