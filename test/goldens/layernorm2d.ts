import { layerNorm2d } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight, bias }, { eps }) => ({ out: layerNorm2d(x!, weight!, bias!, eps as number) });
