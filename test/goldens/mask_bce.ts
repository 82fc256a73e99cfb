import { maskLoss } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ pred, target }, { mask_count }) => ({
  out: maskLoss(pred!, target!, { count: mask_count as number }).bce,
});
