import { encodeMasks, packBits } from '../../lib';
import { pair } from '../harness';
import { discs, discsInPython, size } from '../masks';

// With the compressed strings, on both sides.
const name = `${size.masks} masks ${size.height} x ${size.width}`;
const torch = { setup: discsInPython, run: 'coco.encode(masks)' };

export default [
  pair(`encodeMasks, ${name}, bytes`, {
    ours: async () => {
      const masks = await discs();
      return async () => void (await encodeMasks(masks));
    },
    torch,
    bytes: size.masks * size.height * size.width,
    goal: 2.9,
  }),
  pair(`encodeMasks, ${name}, bits`, {
    ours: async () => {
      const masks = await discs();
      const bits = packBits(masks);
      masks.dispose();
      return async () => void (await encodeMasks(bits, size.width));
    },
    torch,
    goal: 2.9,
  }),
];
