import { sides } from '../sides';

export default [
  [4096, 5120],
  [576, 4096],
].flatMap((shape) => sides({ op: 'gelu', shape, torch: 'F.gelu(x)' }));
