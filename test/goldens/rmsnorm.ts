import { rmsNorm } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, weight }, { eps }) => ({ out: rmsNorm(x!, weight!, eps as number) });
