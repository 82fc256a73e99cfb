import { convTranspose2d } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, bias }) => ({ out: convTranspose2d(x!, weight!, bias) });
