import { decodeMasks, encodeMasks } from '../../lib';
import { pair } from '../harness';
import { discs, discsInPython, size } from '../masks';

// From compressed strings, on both sides.
export default ([false, true] as const).map((bits) =>
  pair(`decodeMasks, ${size.masks} masks ${size.height} x ${size.width}, to ${bits ? 'bits' : 'bytes'}`, {
    ours: async () => {
      const masks = await discs();
      const rles = await encodeMasks(masks);
      masks.dispose();
      return async () => void (await decodeMasks(rles, bits)).dispose();
    },
    torch: {
      setup: `${discsInPython}
  strings = coco.encode(masks)
`,
      run: 'coco.decode(strings)',
    },
    bytes: bits ? undefined : size.masks * size.height * size.width,
    goal: 4.2,
  }),
);
