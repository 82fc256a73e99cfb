import { conv2d } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, bias }, { stride, padding }) => ({
  out: conv2d(x!, weight!, { bias, stride: stride as number, padding: padding as number }),
});
