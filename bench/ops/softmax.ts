import { sides } from '../sides';

export default [
  [700, 32007],
  [16, 700, 700],
  [4096, 8, 6],
].flatMap((shape) => sides({ op: 'softmax', shape, torch: 'F.softmax(x, -1)', saved: ['y'], keepsInput: false }));
