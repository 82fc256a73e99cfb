import { crossEntropy } from '../../lib';
import type { Golden } from '../support/golden';

export const golden: Golden = ({ logits, labels }, { ignore_index }) => ({
  out: crossEntropy(logits!, labels!, { shift: true, ignoreIndex: ignore_index as number }).loss,
});
