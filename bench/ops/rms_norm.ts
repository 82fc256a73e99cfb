import { sides } from '../sides';

export default [
  [700, 4096],
  [1, 4096],
].flatMap((shape) =>
  sides({ op: 'rmsNorm', shape, others: { weight: [4096] }, torch: 'F.rms_norm(x, (4096,), weight, 1e-5)', saved: ['rstd'] }),
);
