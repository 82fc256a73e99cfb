/** Low-rank adaptation of a decoder's attention: Hu et al. 2021, arXiv 2106.09685. */
import { ArgumentError } from '../../errors';
import { Linear } from '../../nn/linear';
import { LoraLinear, type LoraOptions } from '../../nn/lora';
import type { LlamaModel } from './model';

const fields = { q_proj: 'qProj', k_proj: 'kProj', v_proj: 'vProj', o_proj: 'oProj' } as const;
/** Projections of the attention by their keys. */
export type LoraTarget = keyof typeof fields;

export interface AddLoraOptions extends LoraOptions {
  /** Default q_proj and v_proj. */
  targets?: readonly LoraTarget[];
}

/**
 * Puts LoRA around the chosen projections of every layer; `lora_A` and `lora_B` join the parameters, without values before
 * `initialize` or `load`.
 * @throws ArgumentError when a projection has LoRA already.
 */
export function addLora(model: LlamaModel, { targets = ['q_proj', 'v_proj'], ...options }: AddLoraOptions): void {
  for (const [i, { selfAttn }] of model.layers.entries()) {
    for (const target of targets) {
      const base = selfAttn[fields[target]];
      if (!(base instanceof Linear)) throw new ArgumentError(`addLora: ${target} of layer ${i} has LoRA already, expected none`);
      selfAttn[fields[target]] = new LoraLinear(base, options);
    }
  }
}

/**
 * Folds every LoRA into the weight it is around; the parameters are those of a plain decoder again.
 * @throws ArgumentError when a weight is held in 8 or 4 bits.
 */
export function mergeAllLora(model: LlamaModel): void {
  for (const { selfAttn } of model.layers) {
    for (const field of Object.values(fields)) {
      const lora = selfAttn[field];
      if (!(lora instanceof LoraLinear)) continue;
      selfAttn[field] = lora.merge();
      lora.dispose();
    }
  }
}
