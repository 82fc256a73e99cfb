import { linear } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, bias }) => ({ out: linear(x!, weight!, bias) });
