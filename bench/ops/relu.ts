import { sides } from '../sides';

export default [
  [6, 2048],
  [4096, 2048],
].flatMap((shape) => sides({ op: 'relu', shape, torch: 'F.relu(x)' }));
