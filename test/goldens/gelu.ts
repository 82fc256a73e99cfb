import { gelu } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x }) => ({ out: gelu(x!) });
