/** LoRA around the linear layers of any module, chosen by key. Hu et al. 2021, arXiv 2106.09685. */
import { ArgumentError } from '../errors';
import { noGradients } from '../tensor/ambient';
import { Linear } from './linear';
import { LoraLinear, type LoraOptions } from './lora';
import type { Module } from './module';

/**
 * Puts LoRA around every linear layer whose key `matches`; `lora_A` and `lora_B` join the parameters, without values before
 * `initialize` or `load`.
 * @returns the keys of the layers, of which there is one at least.
 * @throws ArgumentError when none matches, or one has LoRA already.
 */
export function addLoraTo(module: Module, matches: (key: string) => boolean, options: LoraOptions): string[] {
  const chosen = new Map<string, Linear>();
  const linear: string[] = [];
  for (const [key, part] of module.parts()) {
    if (matches(key) && part instanceof LoraLinear) throw new ArgumentError(`lora: ${key} has LoRA already, expected none`);
    if (!(part instanceof Linear)) continue;
    if (matches(key)) chosen.set(key, part);
    else linear.push(key);
  }
  if (chosen.size === 0) throw new ArgumentError(`lora: no linear layer matches; there are ${linear.slice(0, 3).join(', ') || 'none'} ...`);
  const made = new Map([...chosen].map(([key, base]) => [key, new LoraLinear(base, options)]));
  module.substitute((key) => made.get(key));
  return [...made.keys()];
}

/** Every layer with LoRA, by its key. */
export function loraLayers(module: Module): Map<string, LoraLinear> {
  const layers = new Map<string, LoraLinear>();
  for (const [key, part] of module.parts()) if (part instanceof LoraLinear) layers.set(key, part);
  return layers;
}

/**
 * Folds every LoRA into the weight it is around; the layers are plain again. No gradient.
 * @throws ArgumentError when a weight is held in 8 or 4 bits.
 */
export function mergeAllLora(module: Module): void {
  module.substitute((_key, part) => {
    if (!(part instanceof LoraLinear)) return undefined;
    const merged = noGradients(() => part.merge());
    part.dispose();
    return merged;
  });
}

/** Takes every LoRA away again, its matrices are disposed: the layers are those they were before. */
export function removeLora(module: Module): void {
  module.substitute((_key, part) => {
    if (!(part instanceof LoraLinear)) return undefined;
    part.loraA.dispose();
    part.loraB.dispose();
    return part.base;
  });
}
