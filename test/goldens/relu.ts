import { relu } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ x }) => ({ out: relu(x!) });
