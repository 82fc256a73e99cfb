import { layerNorm } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, bias }, { eps }) => ({ out: layerNorm(x!, weight!, bias!, eps as number) });
