import { clipGradients, gradNorm } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = (gradients, { max_norm, eps }) => {
  const list = Object.values(gradients);
  const norm = gradNorm(list);
  clipGradients(list, norm, { maxNorm: max_norm as number, eps: eps as number });
  return { ...gradients, total_norm: norm };
};
