import { bilinear } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x }, { out_h, out_w }) => ({ out: bilinear(x!, out_h as number, out_w as number) });
