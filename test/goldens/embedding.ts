import { embedding } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ weight, ids }) => ({ out: embedding(weight!, ids!) });
