import { maskLoss } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ pred, target }, { mask_count, scale, eps }) => ({
  out: maskLoss(pred!, target!, { count: mask_count as number, scale: scale as number, eps: eps as number }).dice,
});
