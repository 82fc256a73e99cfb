import { sides } from '../sides';

export default [
  [700, 32007],
  [16, 700, 700],
].flatMap((shape) => sides({ op: 'softmax', shape, torch: 'F.softmax(x, -1)', saved: ['y'], keepsInput: false }));
