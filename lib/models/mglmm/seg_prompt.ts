import type { Dtype } from '../../native';
import { Linear, Sequential } from '../../nn';
import { relu } from '../../ops/relu';

/**
 * From the state that predicts `[SEG]` to a prompt of the mask decoder: `[..., dim]` to `[..., promptDim]`. ReLU, where the
 * projector has GELU. Lai et al. 2023, arXiv 2308.00692.
 */
export function makeSegPrompt(dim: number, promptDim: number, dtype: Dtype): Sequential {
  return new Sequential(new Linear(dim, dim, { dtype }), relu, new Linear(dim, promptDim, { dtype }));
}
