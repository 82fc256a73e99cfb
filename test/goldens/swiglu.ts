import { swiglu } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ gate, up }) => ({ out: swiglu(gate!, up!) });
