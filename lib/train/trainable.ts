/**
 * Which parameters of a model are trained, by their keys: the published choices of MGLMM, LISA and GLaMM, everything, or
 * patterns of one's own.
 */
import { ArgumentError } from '../errors';
import type { Module } from '../nn/module';

/** LoRA, embeddings, head, the layers that join the parts, SAM's mask decoder; LISA and GLaMM leave CLIP's projector as it is. */
export const trainableSets = {
  mglmm: ['lora_[AB]$', '^model\\.(embed_tokens|mm_projector|text_hidden_fcs)\\.', '^lm_head\\.', '\\.mask_decoder\\.'],
  lisa: ['lora_[AB]$', '^model\\.(embed_tokens|text_hidden_fcs)\\.', '^lm_head\\.', '\\.mask_decoder\\.'],
  glamm: ['lora_[AB]$', '^model\\.(embed_tokens|text_hidden_fcs)\\.', '^lm_head\\.', '\\.mask_decoder\\.'],
  lora: ['lora_[AB]$'],
  full: [''],
} as const satisfies Record<string, readonly string[]>;

/** What the published choices are without LoRA: the published programs train the language model itself then, and the projector. */
export const withoutLora: readonly string[] = [
  ...trainableSets.mglmm.filter((pattern) => !pattern.startsWith('lora')),
  '^model\\.(layers|norm)\\.',
];

export type TrainableSet = keyof typeof trainableSets;

/** Random numbers that positions are encoded with: part of the model's definition, in no set. */
const constants = /positional_encoding_gaussian_matrix$/;

/**
 * Trains exactly what `set` says: the name of a published set, or regular expressions of which a key must match one.
 * @returns the parameters that are trained, by key.
 * @throws ArgumentError for a pattern that is none, or one of one's own that matches no key.
 */
export function chooseTrainable(
  module: Module,
  set: TrainableSet | readonly string[],
): Map<string, ReturnType<Module['parameters']>[number]> {
  const isNamed = typeof set === 'string';
  const patterns = (isNamed ? trainableSets[set] : set).map((pattern) => {
    try {
      return new RegExp(pattern);
    } catch (cause) {
      throw new ArgumentError(`trainable: ${JSON.stringify(pattern)} is no regular expression: ${(cause as Error).message}`, { cause });
    }
  });
  const keys = [...module.stateDict().keys()].filter((key) => !constants.test(key));
  const isOwn = !isNamed && set !== withoutLora; // a model need not have all that a published set names
  const idle = isOwn && patterns.find((pattern) => !keys.some((key) => pattern.test(key)));
  if (idle)
    throw new ArgumentError(`trainable: no parameter matches ${JSON.stringify(idle.source)}; there are ${keys.slice(0, 3).join(', ')} ...`);
  const chosen = new Set(keys.filter((key) => patterns.some((pattern) => pattern.test(key))));
  if (chosen.size === 0) throw new ArgumentError(`trainable: ${JSON.stringify(set)} matches no parameter of this model`);
  module.train((key) => chosen.has(key));
  return new Map([...module.namedParameters()].filter(([key]) => chosen.has(key)));
}
