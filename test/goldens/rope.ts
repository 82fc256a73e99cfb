import { rope } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x, position_ids }, { base }) => ({ out: rope(x!, position_ids!, { base: base as number }) });
