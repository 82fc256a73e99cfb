import type { Dtype } from '../../native';
import { Linear, type Module, Sequential } from '../../nn';
import { gelu } from '../../ops/gelu';
import type { Tensor } from '../../tensor/tensor';
import type { MglmmConfig } from './config';

/** From features of CLIP to embeddings of LLaMA: `[..., clip.dim]` to `[..., llama.dim]`. Liu et al. 2023, arXiv 2310.03744. */
export type Projector = Module & { forward(x: Tensor): Tensor };

export function makeProjector({ clip, llama, projector }: MglmmConfig, dtype: Dtype): Projector {
  if (projector === 'linear') return new Linear(clip.dim, llama.dim, { dtype });
  return new Sequential(new Linear(clip.dim, llama.dim, { dtype }), gelu, new Linear(llama.dim, llama.dim, { dtype }));
}
